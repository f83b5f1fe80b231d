"""Worlds made of a seed: holders with their cards, employers and merchants, the same everywhere, without a file."""
