"""Messages of any dialect, and a host in a process of its own that knows what it did."""

import asyncio
import random
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import strategies as st

from authz.wire.dialect import Content, Form
from authz.wire.message import ATTRIBUTES, Elements, Message

SLOW_HOST = Path(__file__).parent / "slow_host.py"
FORMS = {
    Form.MONTH_TO_SECOND: "0512103000",
    Form.TIME: "123000",
    Form.MONTH_DAY: "0512",
    Form.YEAR_MONTH: "2806",
}
ALPHABETS = {
    Content.DIGITS: "0123456789",
    Content.ALPHANUMERIC: "ABCxyz0189",
    Content.PADDED: "ABCxyz0189 ",
    Content.PRINTABLE: "ABCxyz0189 -/.'",
    Content.TRACK: "0123456789=",
    Content.BINARY: "0123456789ABCDEF",
}
LEFT_OUT = {35, 48, 64, 95, 128}
"""Track 2, elements, replacement amounts and MACs have rules beyond their characters."""
randoms = st.integers(0, 2**32).map(random.Random)


def text_of(chance, field):
    """Any text that a field may hold."""
    if field.form:
        return FORMS[field.form]
    least = max(field.least, 1) if field.prefix else field.length
    length = chance.randint(least, min(field.length, least + 24))
    if field.content is Content.SIGNED:
        return "C" + "".join(chance.choices("0123456789", k=length - 1))
    if field.content is Content.BINARY:
        length = max(length - length % 2, 2)
    return "".join(chance.choices(ALPHABETS[field.content], k=length))


@st.composite
def messages(draw, dialect, mti, always=()):
    """A message of any fields of a dialect."""
    chance = draw(randoms)
    optional = [number for number in ATTRIBUTES if number not in LEFT_OUT and number not in always]
    numbers = {*always, *chance.sample(optional, chance.randint(0, len(optional)))}
    values = {ATTRIBUTES[number]: text_of(chance, dialect.fields[number]) for number in sorted(numbers)}
    elements = chance.choice([None, Elements(cvv2="123"), Elements(takes_partial="1", tries_left="2")])
    return Message(mti=mti, elements=elements, **values)


class SlowHost:
    """From outside. `told` ends it, and gives what it did to each request."""

    def __init__(self, process, port):
        self.port = port
        self._process = process

    async def told(self):
        """Milliseconds from reading each request to answering it, in their order."""
        self._process.stdin.close()
        return msgspec.json.decode(await self._process.stdout.read(), type=list[float])


@asynccontextmanager
async def slow(*arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SLOW_HOST), *map(str, arguments)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**22,
    )
    try:
        yield SlowHost(process, int(await process.stdout.readline()))
    finally:
        process.stdin.close()
        await process.wait()


@pytest.fixture
def slow_host():
    """`async with slow_host("exponential", milliseconds)`, or `("stall", seconds, at_request)`."""
    return slow
