"""ISO 8583: bytes to typed messages and back, by dialects that are data."""
