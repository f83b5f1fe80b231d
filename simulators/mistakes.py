"""What a user can put right."""


class Mistake(Exception):
    """Something that whoever gave the command can put right; its one line says how, and holds no secret."""
