"""Files of parameters: TOML, checked against a type as it is read."""

from pathlib import Path
from typing import TypeVar

import msgspec

from simulators.mistakes import Mistake

T = TypeVar("T")


def load(path: Path, shape: type[T], mistake: type[Mistake]) -> T:
    """Read a file. Raises `mistake`, which names the file and the place in it that is wrong."""
    try:
        content = path.read_bytes()
    except OSError as failed:
        raise mistake(f"{path}: {failed.strerror}") from None
    return decode(content, str(path), shape, mistake)


def decode(content: bytes, name: str, shape: type[T], mistake: type[Mistake]) -> T:
    """Read what a file holds. Raises `mistake`. Of what isn't TOML at all nothing is shown: it may be anything."""
    try:
        return msgspec.toml.decode(content, type=shape)
    except msgspec.ValidationError as wrong:
        raise mistake(f"{name}: {wrong}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise mistake(f"{name}: not TOML") from None
