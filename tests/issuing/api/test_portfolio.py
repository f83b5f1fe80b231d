"""Another processor's holders through the API: a chunk, again, what is wrong with it, and no number anywhere."""

import re
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from authz.issuing.bodies.portfolio import HOLDERS_MAX
from authz.issuing.cardmaking import with_check_digit
from authz.service import Service
from simulators.terminal import parameters
from simulators.terminal.pinpad import PinPad
from tests.issuing.api.conftest import Server
from tests.issuing.api.office import Office

LINK = parameters.demo().acquirer
_numbers = count(1)


def new_pan() -> str:
    return with_check_digit(f"92501098{next(_numbers):07}")


def card(pan: str, pin: str = "2468", **changes: Any) -> dict[str, Any]:
    block = PinPad(parameters.demo().zone_pin_key).block(pin, pan)
    return {"pan": pan, "expiry": "4801", "generation": 2, "activated": True, "pin_block": block, **changes}


def holder(**changes: Any) -> dict[str, Any]:
    return {
        "reference": f"r-{uuid4().hex}",
        "employer": "E1",
        "works_sundays_holidays": False,
        "cards": [card(changes.pop("pan", None) or new_pan())],
        "lots": [{"product": "90", "lot": "2026", "amount_cents": 5_000}],
        **changes,
    }


def chunk(*holders: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"programme": "apetiz", "link": LINK, "holders": list(holders), **changes}


def refusals(office: Office, body: dict[str, Any]) -> list[str]:
    reply = office.post("/v1/portfolio", body)
    assert reply.status_code == 200, reply.text
    return [one["why"] for one in reply.json()["refused"]]


def test_holders_are_taken_over_and_the_same_again_too(office: Office) -> None:
    body = chunk(holder(), holder(cards=[], lots=[]), holder(cards=[card(new_pan()), card(new_pan(), generation=1)]))
    for key in ("chunk", "chunk", None):
        reply = office.post("/v1/portfolio", body, key=key)
        assert (reply.status_code, reply.json()) == (200, {"taken_over": 3, "refused": []})


def test_one_key_is_no_reason_to_leave_another_chunk_out(office: Office) -> None:
    """Who is there follows from the reference: the key is every write's, and needn't be another for each chunk."""
    for _ in range(2):
        assert office.made("/v1/portfolio", chunk(holder()), key="one")["taken_over"] == 1


def test_other_content_is_refused_by_reference(office: Office) -> None:
    first = holder()
    office.made("/v1/portfolio", chunk(first))
    changed = first | {"works_sundays_holidays": True}
    reply = office.made("/v1/portfolio", chunk(changed, holder()))
    assert reply["taken_over"] == 1
    assert [one["reference"] for one in reply["refused"]] == [first["reference"]]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"employer": "nobody"}, "employer"),
        ({"employer": "E3"}, "programme"),
        ({"lots": [{"product": "91", "lot": "2026", "amount_cents": 1}]}, "lot"),
        ({"lots": [{"product": "90", "lot": "May", "amount_cents": 1}]}, "lot"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(office: Office, changes: dict[str, Any], word: str) -> None:
    [said] = refusals(office, chunk(holder(**changes)))
    assert word in said


def test_a_pin_under_another_key_or_for_another_card_is_refused(office: Office) -> None:
    pan, other = new_pan(), new_pan()
    for block in ("0" * 16, card(other)["pin_block"], PinPad("00" * 16).block("2468", pan)):
        [said] = refusals(office, chunk(holder(cards=[card(pan, pin_block=block)])))
        assert "PIN block" in said
        assert pan not in said


@pytest.mark.parametrize(("changes", "status"), [({"link": "999999"}, 409), ({"programme": "nowhere"}, 404)])
def test_a_link_and_a_programme_that_arent_there(office: Office, changes: dict[str, Any], status: int) -> None:
    assert office.post("/v1/portfolio", chunk(holder(), **changes)).status_code == status


def test_a_chunk_has_limits(office: Office) -> None:
    small = {"employer": "E1", "works_sundays_holidays": False, "cards": [], "lots": []}
    many = [{"reference": f"l-{number}", **small} for number in range(HOLDERS_MAX + 1)]
    assert office.post("/v1/portfolio", chunk()).status_code == 400
    assert office.post("/v1/portfolio", chunk(*many)).status_code == 400
    assert office.post("/v1/portfolio", chunk(holder(cards=[card(new_pan())] * 5))).status_code == 400
    assert office.post("/v1/portfolio", chunk(holder(), programme="x" * 2_000_000)).status_code == 413


@pytest.mark.parametrize("role", ["employer", "operator", "finance"])
def test_it_is_the_issuers_alone(office: Office, role: str) -> None:
    caller = office.with_token(role, "E1" if role == "employer" else "")
    assert caller.post("/v1/portfolio", chunk(holder())).status_code == 403


PAN = "9250109700000000"


@pytest.mark.parametrize(
    "broken",
    [
        {"pan": PAN + "x"},
        {"pan": int(PAN)},
        {"expiry": PAN},
        {"generation": PAN},
        {"generation": int(PAN)},
        {"activated": PAN},
        {"pin_block": PAN + "0"},
        {PAN: "1"},
    ],
    ids=str,
)
def test_no_error_shows_a_number(office: Office, broken: dict[Any, Any]) -> None:
    for body in (
        chunk(holder(cards=[card(new_pan()) | broken])),
        chunk(holder() | {str(key): value for key, value in broken.items()}),
        chunk(holder(), **{str(key): value for key, value in broken.items()}),
    ):
        reply = office.post("/v1/portfolio", body)
        assert reply.status_code == 400, reply.text
        assert PAN not in reply.text
        assert reply.json()["errors"]


def test_no_number_is_in_the_database_in_the_clear(office: Office, server: Server, service: Service) -> None:
    pan, reference = new_pan(), f"r-{uuid4().hex}"
    office.made("/v1/portfolio", chunk(holder(cards=[card(pan)], reference=reference)))
    block = card(pan)["pin_block"]

    async def dump() -> str:
        _, connection = await service.store.primary.find(timeout=5)
        try:
            rows = await connection.fetch("SELECT j::text AS row FROM ledger.journal j WHERE kind = 'takeover'")
            rows += await connection.fetch("SELECT v::text AS row FROM authz.vault v")
        finally:
            await connection.close()
        return "\n".join(row["row"] for row in rows)

    text = server.do(dump())
    assert text.count("takeover") >= 1
    for secret in (pan, pan.encode().hex(), block, block.lower(), "2468", reference):
        assert not re.search(rf"(?<![0-9a-fA-F]){secret}(?![0-9a-fA-F])", text), "it stands in the clear"
