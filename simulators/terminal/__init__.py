"""The terminal: its card, its PIN pad, its messages, its book."""
