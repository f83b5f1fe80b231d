"""What a field may hold, compiled: one regular expression a field covers its characters, its length and its form."""

import re
from collections.abc import Callable

from authz.wire.dialect import Content, Field, Form

_MONTH = "(?:0[1-9]|1[0-2])"
_MONTH_DAY = (
    "(?:(?:0[13578]|1[02])(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)(?:0[1-9]|[12][0-9]|30)|02(?:0[1-9]|[12][0-9]))"
)
_TIME = "(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"

_FORMS = {
    Form.MONTH_TO_SECOND: _MONTH_DAY + _TIME,
    Form.TIME: _TIME,
    Form.MONTH_DAY: _MONTH_DAY,
    Form.YEAR_MONTH: "[0-9]{2}" + _MONTH,
}

_CLASSES = {
    Content.DIGITS: ("[0-9]", "digits"),
    Content.ALPHANUMERIC: ("[0-9A-Za-z]", "letters or digits"),
    Content.PADDED: ("[0-9A-Za-z ]", "letters, digits or spaces"),
    Content.PRINTABLE: ("[ -~]", "printable characters"),
    Content.TRACK: ("[0-9=D]", "digits and separators"),
    Content.SIGNED: ("[0-9]", "characters, C or D and digits"),
    Content.BINARY: ("[0-9A-Fa-f]", "hexadecimal digits, an even number"),
}


def matcher(field: Field) -> Callable[[str], re.Match[str] | None]:
    """Compile the test of a field's whole text.

    >>> day = matcher(Field(name="Date", content=Content.DIGITS, length=4, form=Form.MONTH_DAY))
    >>> [text for text in ("0229", "0230", "1301", "+229") if day(text)]
    ['0229']
    """
    return re.compile(pattern(field)).fullmatch


def expected(field: Field) -> str:
    """Say what a field must hold, without a word of what it held.

    >>> expected(Field(name="PAN", content=Content.DIGITS, prefix=2, length=19, least=12))
    '12 to 19 digits'
    """
    if field.form:
        return f"a real {field.form}"
    noun = _CLASSES[field.content][1]
    least, most = _lengths(field)
    return f"{most} {noun}" if least == most else f"{least} to {most} {noun}"


def _lengths(field: Field) -> tuple[int, int]:
    """Least and most characters. Only text may be empty: an empty number, track or block of bytes is none."""
    if not field.prefix:
        return field.length, field.length
    return max(field.least, 0 if field.content is Content.PRINTABLE else 1), field.length


def pattern(field: Field) -> str:
    """Write what `matcher` compiles. No text that it matches holds a character below the space."""
    if field.form:
        return _FORMS[field.form]
    characters = _CLASSES[field.content][0]
    least, most = _lengths(field)
    match field.content:
        case Content.SIGNED:
            return f"[CD]{characters}{{{least - 1},{most - 1}}}"
        case Content.BINARY:
            return f"(?:{characters}{{2}}){{{(least + 1) // 2},{most // 2}}}"
        case _:
            return f"{characters}{{{least},{most}}}"
