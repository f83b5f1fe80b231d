"""`simulate world`: a world is there once, whatever was cut off; every card in it pays; and the books hold."""

import asyncio
import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from authz import cli as authz_cli
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from ledger import cli as ledger_cli
from simulators import cli
from simulators.acquirer.host import AcquirerHost
from simulators.terminal import parameters
from simulators.terminal.messages import Terminal
from simulators.terminal.pinpad import PinPad
from simulators.world.crowd import card_of, member_of
from simulators.world.merchants import site_of

NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
HOLDERS, MERCHANTS, EMPLOYERS = 300, 12, 3
KILLED_AFTER, MANY = 30, 400
PATIENCE_S, POLL_S = 60, 0.05

TAKEN = "SELECT count(DISTINCT holder) FROM ledger.journal WHERE kind = 'takeover'"
RECORDS = "SELECT count(*) FROM ledger.journal WHERE kind = 'takeover'"
MADE = "SELECT count(*) FROM ledger.journal WHERE kind IN ('takeover', 'client', 'merchant')"


def make(issuer, seed, holders, *more):
    sizes = ["--merchants", str(MERCHANTS), "--employers", str(EMPLOYERS), "--chunk", "70"]
    return cli.main(["world", "--holders", str(holders), "--seed", str(seed), *sizes, *issuer, *more])


async def pay(port, seed, numbers):
    """Every card pays a euro with its PIN, each at one of the world's terminals; the reasons of the replies."""
    known = parameters.demo()
    host = await AcquirerHost.connect("127.0.0.1", port, Codec(shipped("iso87ascii")))
    try:
        requests = []
        for number in numbers:
            site = site_of(seed, number % MERCHANTS)
            till = Terminal(site, known.acquirer, PinPad(known.zone_pin_key), lambda: NOON, first_trace=number + 1)
            requests.append(till.purchase(card_of(seed, number), 100))
        return [reply.reason for reply in await asyncio.gather(*map(host.exchange, requests))]
    finally:
        await host.close()


def test_every_card_of_a_world_pays_with_its_pin_and_the_books_hold(issuer, service, ledger_url, in_the_ledger, capsys):
    before = in_the_ledger(TAKEN)
    assert make(issuer, 7, HOLDERS, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["holders"], told["employers"], told["merchants"], told["refused"]) == (HOLDERS, 3, 12, 0)
    assert in_the_ledger(TAKEN) - before == HOLDERS
    reasons = asyncio.run(pay(service.links[0].port, 7, range(HOLDERS)))
    assert set(reasons) == {"APPROVED"}
    assert len(reasons) == HOLDERS
    loaded = sum(member_of(7, number, 1).cents for number in range(HOLDERS))
    assert loaded == in_the_ledger(
        "SELECT sum(amount)::bigint FROM ledger.transfer JOIN ledger.journal USING (partition, seq)"
        " WHERE kind = 'takeover' AND request -> 'command' ->> 'employer' IN"
        " (SELECT request -> 'command' ->> 'client' FROM ledger.journal WHERE kind = 'client'"
        " AND request -> 'command' ->> 'name' LIKE 'Société 7-%')"
    )
    assert ledger_cli.main(["verify", "--database", ledger_url]) == 0
    assert authz_cli.main(["replay", "--database", ledger_url]) == 0


def test_run_again_nothing_is_there_twice_and_more_join(issuer, in_the_ledger, capsys):
    assert make(issuer, 8, 100) == 0
    before = in_the_ledger(MADE)
    assert make(issuer, 8, 100, "--connections", "1") == 0
    assert in_the_ledger(MADE) == before
    assert make(issuer, 8, 130) == 0
    assert in_the_ledger(MADE) == before + 30
    assert "world 8: 130 holders" in capsys.readouterr().out


def test_killed_in_the_middle_and_run_again_it_is_whole(issuer, in_the_ledger):
    """kill -9, at whatever it was about: of a chunk that was sent, nobody knows then whether it was answered."""
    before = in_the_ledger(TAKEN)
    simulate = Path(sys.executable).parent / "simulate"
    command = [simulate, "world", "--holders", str(MANY), "--seed", "9", "--employers", "1", "--merchants", "0"]
    client = subprocess.Popen([*command, "--chunk", "5", "--connections", "1", *issuer], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while in_the_ledger(TAKEN) - before < KILLED_AFTER:
            assert time.monotonic() < deadline
            time.sleep(POLL_S)
    finally:
        client.kill()
        client.wait()
    assert in_the_ledger(TAKEN) - before < MANY
    assert cli.main([*map(str, command[1:]), *issuer]) == 0
    assert in_the_ledger(TAKEN) - before == MANY
    assert in_the_ledger(RECORDS) == in_the_ledger(TAKEN)


def test_who_is_refused_is_told_and_the_exit_code_is_a_findings(issuer, capsys):
    """The same world with vouchers of another year is another world."""
    assert make(issuer, 10, 40) == 0
    capsys.readouterr()
    assert make([*issuer[:-1], "2025"], 10, 40) == 1
    said = capsys.readouterr()
    assert "0 holders" in said.out
    assert "world-10-0: " in said.err
    assert "40 holders were refused" in said.err


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (["--token", "nobodys"], "token"),
        (["--http", "http://127.0.0.1:1"], "127.0.0.1:1"),
        (["--http", "nowhere"], "nowhere"),
        (["--seed", "90"], "90"),
        (["--chunk", "1001"], "chunk"),
        (["--holders", "0"], "holders"),
    ],
)
def test_wrong_use_is_told_in_one_line(issuer, capsys, wrong, word):
    given = ["world", "--holders", "10", "--seed", "11", *issuer]
    for name, value in zip(wrong[::2], wrong[1::2], strict=True):
        given = [*given[: given.index(name)], *given[given.index(name) + 2 :]] if name in given else given
        given += [name, value]
    assert cli.main(given) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert word in said.err or "…" in said.err
    assert "nobodys" not in said.err


def test_without_a_token_nothing_is_asked(issuer, monkeypatch, capsys):
    monkeypatch.delenv("AUTHZ_TOKEN")
    assert cli.main(["world", "--holders", "10", "--seed", "11", *issuer]) == 2
    assert "--token" in capsys.readouterr().err


def test_every_option_is_on_the_page(capsys):
    page = (Path(__file__).parents[3] / "docs" / "worlds.md").read_text()
    told = {name for row in re.findall(r"^\| (`--.*?) \|", page, re.MULTILINE) for name in re.findall(r"--\w+", row)}
    assert cli.main(["world", "--help"]) == 0
    assert told | {"--json"} == set(re.findall(r"--[a-z]+", capsys.readouterr().out))
