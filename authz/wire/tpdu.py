"""The TPDU: five bytes of addresses in front of a message, as 10 hexadecimal digits in a message's `header`."""

LENGTH = 5
"""In bytes: identifier 1, destination 2, origin 2."""
DEFAULT = "6000000000"
"""What is written before a message that has no header: a transaction (60), from nobody to nobody."""


def answering(header: str) -> str:
    """The TPDU of the reply to a request: identifier 60, back from its destination to its origin.

    >>> answering("6000120345")
    '6003450012'
    """
    return f"60{header[6:10]}{header[2:6]}"
