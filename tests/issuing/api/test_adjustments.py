"""/v1/adjustments and `authz issue adjustment`: nobody posts anything alone (docs/adjustments.md)."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from authz import cli
from authz.service import Service
from tests.issuing.api.office import Office, fresh_key

BODY = {"kind": "settlement", "acquirer": "970001", "cents": 12_50, "reason": "payout of 12 May"}
PAN = "9250100000000014"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def ana(office: Office) -> Office:
    return office.with_token("finance")


@pytest.fixture(scope="module")
def ben(office: Office) -> Office:
    return office.with_token("finance")


def test_two_people_of_finance_post_an_adjustment(ana: Office, ben: Office) -> None:
    made = ana.made("/v1/adjustments", BODY)
    path = f"/v1/adjustments/{made['id']}"
    assert (made["status"], made["partition"], made["decided_by"]) == ("proposed", 0, None)
    own = ana.post(f"{path}/approval")
    assert (own.status_code, own.json()["detail"]) == (
        409,
        "Nobody approves what they proposed themselves: it takes somebody else.",
    )
    done = ben.made(f"{path}/approval")
    assert done == ana.get(path).json()
    assert (done["status"], done["cents"]) == ("approved", 12_50)
    people = {done["proposed_by"], done["decided_by"]}
    assert len(people) == 2
    assert all(one.startswith("finance ") for one in people)
    assert ben.post(f"{path}/refusal").status_code == 409, "it is decided"


def test_each_step_under_its_key_is_answered_again(ana: Office, ben: Office) -> None:
    made = ana.made("/v1/adjustments", BODY)
    for caller, path in ((ben, f"/v1/adjustments/{made['id']}/approval"), (ana, "/v1/adjustments")):
        key, body = fresh_key(), BODY if path.endswith("adjustments") else None
        first, again = caller.post(path, body, key=key), caller.post(path, body, key=key)
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json()


def test_ones_own_proposal_can_be_taken_back(ana: Office, ben: Office) -> None:
    made = ana.made("/v1/adjustments", BODY)
    assert ana.made(f"/v1/adjustments/{made['id']}/refusal")["status"] == "refused"
    assert ben.post(f"/v1/adjustments/{made['id']}/approval").status_code == 409


def test_the_issuer_reads_but_takes_no_part(office: Office, ana: Office) -> None:
    made = ana.made("/v1/adjustments", BODY)
    path = f"/v1/adjustments/{made['id']}"
    assert office.get(path).json() == made
    answers = [office.post(path + step).status_code for step in ("/approval", "/refusal")]
    assert [office.post("/v1/adjustments", BODY).status_code, *answers] == [403, 403, 403]


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"cents": 0}, 409, "at least one cent"),
        ({"reason": f"card {PAN}"}, 409, "no card's number"),
        ({"reason": "card 9250 1000 0000 0014"}, 409, "no card's number"),
        ({"record": {"partition": 0, "seq": 1}}, 409, "No payment of this acquirer"),
        ({"record": {"partition": 99, "seq": 1}}, 409, "No payment of this acquirer"),
        ({"reason": ""}, 400, "reason"),
        ({"reason": "x" * 201}, 400, "reason"),
        ({"reason": "a\nb"}, 400, "reason"),
        ({"kind": "gift"}, 400, "kind"),
        ({"acquirer": "97:1"}, 400, "acquirer"),
        ({"line": {"file": "no", "line": 1}}, 400, "line"),
        ({"by": "somebody"}, 400, "by"),
    ],
)
def test_what_makes_no_sense_is_told_without_its_content(
    ana: Office, changes: dict[str, Any], status: int, said: str
) -> None:
    reply = ana.post("/v1/adjustments", {**BODY, **changes})
    assert reply.status_code == status
    assert said in reply.text
    assert PAN not in reply.text


@pytest.fixture
def call(service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.setenv("AUTHZ_URL", f"http://127.0.0.1:{service.http_port}")

    def run(caller: Office, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("AUTHZ_TOKEN", str(caller.token))
        capsys.readouterr()
        code = cli.main(["issue", "adjustment", *arguments])
        return code, *capsys.readouterr()

    return run


PROPOSE = ("propose", "write-off", "--acquirer", "970001", "--reason", "offline, card empty")


def test_the_command_line_does_it_all(call: Call, ana: Office, ben: Office) -> None:
    code, printed, _ = call(ana, *PROPOSE, "--amount", "-3.5", "--line", f"{'cd' * 32}:7", "--json")
    made = json.loads(printed)
    assert (code, made["cents"], made["line"]) == (0, -3_50, {"file": "cd" * 32, "line": 7})
    assert call(ana, "approve", made["id"])[0] == 1
    code, printed, _ = call(ben, "list", "--status", "proposed", "--json")
    assert made["id"] in {one["id"] for one in json.loads(printed)}
    code, printed, _ = call(ben, "approve", made["id"])
    assert (code, "approved" in printed, "-3.50" in printed) == (0, True, True)
    _, printed, _ = call(ben, "show", made["id"], "--json")
    assert json.loads(printed)["status"] == "approved"
    assert made["id"] in call(ben, "list")[1]
    assert call(ben, "refuse", made["id"])[0] == 1


def test_the_commands_on_the_page_do_what_it_says(call: Call, ana: Office, ben: Office) -> None:
    """docs/adjustments.md; no payment stands at its 0:17."""
    page = (Path(__file__).parents[3] / "docs" / "adjustments.md").read_text()
    commands = page.partition("```sh\n")[2].partition("```")[0]
    made = ana.made("/v1/adjustments", BODY)["id"]
    refused, asked = [], re.sub(r"\b[0-9a-f]{16}\b", made, commands).splitlines()
    for command in asked:
        name, *arguments = shlex.split(command, comments=True)[3:]
        if call(ana if name == "propose" else ben, name, *arguments)[0]:
            refused.append(name)
    assert (len(asked), refused) == (6, ["propose", "refuse"]), "what is approved is refused no more"


@pytest.mark.parametrize(
    "wrong",
    [("--amount", "1.234"), ("--amount", "x"), ("--amount", "1", "--record", "17"), ("--amount", "1", "--line", "a:1")],
)
def test_wrong_use_is_a_line(call: Call, ana: Office, wrong: tuple[str, ...]) -> None:
    code, _, said = call(ana, *PROPOSE, *wrong)
    assert code == 2
    assert len(said.strip().splitlines()) <= 3
