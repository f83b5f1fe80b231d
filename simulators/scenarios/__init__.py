"""Scenarios: what happens at tills and on their line, written down with what must be answered."""
