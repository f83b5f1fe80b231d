"""Acquirer links: connections, and the translation between messages and commands."""
