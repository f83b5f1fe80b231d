"""docs/one-payment.md: its bytes are sent to an engine, its drawings are what the script draws, its letters meet."""

import re
import socket
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest

from simulators.terminal import parameters
from simulators.terminal.pinpad import PinPad
from tests.docs.desk import Desk
from tests.docs.pages import HOME, Command, blocks

PAGE = HOME / "docs" / "one-payment.md"
ALICE = "9250100000000014"
LENGTH_BYTES = 2


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    spec = spec_from_file_location("draw", HOME / "docs" / "pictures" / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def columns() -> list[list[str]]:
    """The bytes of each message, field by field, as the page has them."""
    return [
        [line.split("  ")[0] for line in text.splitlines()]
        for _, _, text in blocks(PAGE)
        if re.match("[0-9A-F]{4}  ", text)
    ]


def masked(payload: bytes) -> str:
    return payload.decode("ascii").replace(ALICE, f"{ALICE[:6]}······{ALICE[-4:]}")


def test_the_bytes_shown_are_sent_and_answered(desk: Desk) -> None:
    [length, *request], reply = columns()
    pin_block = PinPad(parameters.demo().pin_pad_key).block("1234", ALICE)
    payload = "".join([*request[:-1], pin_block]).replace("······", ALICE[6:-4]).encode()
    desk.type(Command(PAGE.name, 0, "authz serve --demo --clock 2026-05-12T12:30:00+02:00"))
    with socket.create_connection(("127.0.0.1", desk.port)) as line:
        line.sendall(bytes.fromhex(length) + payload)
        told = line.recv(LENGTH_BYTES, socket.MSG_WAITALL)
        answer = line.recv(int.from_bytes(told), socket.MSG_WAITALL)
    assert int(length, 16) == len(payload)
    assert f"{told.hex().upper()}{masked(answer)}" == "".join(reply)


def test_the_drawings_are_as_the_script_draws_them(draw: ModuleType) -> None:
    for drawing in draw.DRAWINGS:
        assert (PAGE.parent / "pictures" / f"{drawing.name}.svg").read_text() == drawing.svg()
        assert f"![{drawing.title}](pictures/{drawing.name}.svg)" in PAGE.read_text()


def test_the_bytes_drawn_are_those_of_the_page(draw: ModuleType) -> None:
    [asked] = [row for row in draw.PAYMENT.rows if isinstance(row, draw.Arrow) and row.text.startswith("0200")]
    assert "".join("".join(asked.below).split()) == "".join(columns()[0])


def test_every_letter_drawn_is_explained(draw: ModuleType) -> None:
    letters = [row.mark for row in draw.PAYMENT.rows if isinstance(row, draw.Arrow) and row.mark]
    assert letters == re.findall(r"^\| ([A-Z]) \|", PAGE.read_text(), re.MULTILINE)
