"""The payment terminal's screen, keys, printer and cards, in a window of text."""
