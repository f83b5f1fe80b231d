"""The single writer: resolve what a decision needs, decide, append, and only then reply."""
