"""Closing a day: everything that finance does with it, in its order, by one command."""
