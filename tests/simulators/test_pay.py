"""`simulate pay`: its options, its exit codes, its one line of error, its JSON."""

import asyncio
import io
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import cli, pay
from simulators.link import NoReply
from simulators.pay import WrongUse, parse_cents
from simulators.terminal.journal import Journal
from simulators.terminal.till import Patience

PAN = "9250100000000014"
PAY = ["pay", "--pan", PAN, "--terminal", "PAR00001", "--clock", "2026-05-12T12:30:00+02:00"]


@pytest.fixture
def counter(hosting):
    """`with counter(script) as port`: a scripted host in a thread of its own, for commands that run their own loop."""

    class Running:
        def __init__(self, script):
            self.script = script

        def __enter__(self):
            started = threading.Event()

            async def serve():
                async with hosting(self.script) as self.host:
                    self.loop, self.stop = asyncio.get_running_loop(), asyncio.Event()
                    started.set()
                    await self.stop.wait()

            self.thread = threading.Thread(target=asyncio.run, args=(serve(),))
            self.thread.start()
            started.wait()
            return self.host

        def __exit__(self, *_):
            self.loop.call_soon_threadsafe(self.stop.set)
            self.thread.join()

    return Running


def run(*arguments):
    return cli.main([*PAY, *arguments])


def approves(answer):
    return lambda peer, request: peer.send(answer(request, approval="A1B2C3"))


@given(st.integers(0, 10**12 - 1))
def test_every_amount_is_read_to_the_cent(cents):
    assert parse_cents(f"{cents // 100}.{cents % 100:02d}") == cents
    assert parse_cents(f"{cents // 100},{cents % 100:02d}") == cents


@pytest.mark.parametrize("text", ["", "12.505", "-1", "1e3", "1_000", "12.", ".5", "٣", "12 €", "nan"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(WrongUse):
        parse_cents(text)


def test_an_approved_payment_prints_its_receipt_and_exits_0(counter, answer, capsys):
    with counter(approves(answer)) as host:
        assert run("--amount", "12.50", "--pin", "1234", "--port", str(host.port)) == 0
    out, err = capsys.readouterr()
    assert "APPROUVÉ / APPROVED" in out
    assert "12,50 €" in out
    assert "A1B2C3" in out
    assert err == ""
    (heard,) = host.heard
    assert (heard.mti, heard.amount, heard.merchant, heard.acquirer) == (
        "0200",
        "000000001250",
        "FR0000000000001",
        "970001",
    )
    assert (heard.local_time, heard.transmitted) == ("123000", "0512103000")
    assert heard.pin_block is not None


def test_a_partial_approval_exits_0_and_a_refusal_1(counter, answer, capsys):
    def script(peer, request):
        if request.elements is None:
            peer.send(answer(request, "61", "DAILY_CAP"))
        else:
            peer.send(answer(request, "10", "PARTIAL", amount="000000001900"))

    with counter(script) as host:
        port = str(host.port)
        assert run("--amount", "25", "--partial", "--language", "en", "--port", port) == 0
        assert "Left to pay" in capsys.readouterr().out
        assert run("--amount", "25", "--language", "fr", "--port", port) == 1
        assert "Plafond du jour dépassé" in capsys.readouterr().out


def test_json_is_one_object_in_cents_without_the_pan(counter, answer, capsys):
    def script(peer, request):
        peer.send(answer(request, "10", "PARTIAL", amount="000000001900", balances="9002978C000000018100"))

    with counter(script) as host:
        assert run("--amount", "25", "--partial", "--json", "--trace", "7", "--port", str(host.port)) == 0
    out = capsys.readouterr().out
    said = json.loads(out)
    assert PAN not in out
    assert (said["decision"], said["asked"], said["approved"], said["rest"]) == ("partial", 2500, 1900, 600)
    assert (said["card"], said["trace"], said["response_code"]) == ("925010…0014", "000007", "10")
    assert said["left"] == [{"product": "90", "available": 18100, "today": None}]
    assert said["at"] == "2026-05-12T12:30:00+02:00"


def test_hold_balance_product_and_merchant_reach_the_wire(counter, answer, capsys):
    with counter(approves(answer)) as host:
        port = str(host.port)
        assert run("--amount", "5", "--hold", "--product", "90", "--merchant", "FR9", "--port", port) == 0
        assert run("--balance", "--port", port) == 0
    held, asked = host.heard
    assert (held.mti, held.processing_code, held.merchant) == ("0100", "009000", "FR9            ")
    assert (asked.mti, asked.processing_code, asked.amount) == ("0100", "310000", None)


def test_a_payment_can_be_taken_back_at_once(counter, answer, capsys):
    with counter(approves(answer)) as host:
        port = str(host.port)
        assert run("--amount", "12.50", "--reverse", "--language", "en", "--port", port) == 0
        assert "*** REVERSED ***" in capsys.readouterr().out
        assert run("--amount", "12.50", "--hold", "--reverse", "--json", "--port", port) == 0
    assert json.loads(capsys.readouterr().out)["reversal"] == "00"
    sale, reversal, hold, released = host.heard
    assert [heard.mti for heard in host.heard] == ["0200", "0400", "0100", "0400"]
    assert reversal.original[:20] == f"0200{sale.trace}{sale.transmitted}"
    assert released.original[:10] == f"0100{hold.trace}"


def test_a_reversal_that_found_nothing_is_a_finding(counter, answer, capsys):
    def script(peer, request):
        peer.send(answer(request, "25", "NO_ORIGINAL") if request.mti == "0400" else answer(request))

    with counter(script) as host:
        assert run("--amount", "5", "--reverse", "--language", "fr", "--port", str(host.port)) == 1
    assert "*** NON ANNULÉ ***" in capsys.readouterr().out


def test_a_demo_card_online_needs_no_expiry_n_is_the_clocks_year(counter, answer, capsys):
    with counter(approves(answer)) as host:
        run("--amount", "9", "--entry", "online", "--cvv2", "987", "--port", str(host.port))
    (heard,) = host.heard
    assert (heard.entry_mode, heard.expiry, heard.elements.cvv2, heard.pin_block) == ("812", "2806", "987", None)


def test_the_pin_can_come_from_standard_input(counter, answer, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("1234\n"))
    with counter(approves(answer)) as host:
        port = str(host.port)
        run("--amount", "5", "--pin", "-", "--port", port)
        run("--amount", "5", "--pin", "1234", "--port", port)
    asked, given_openly = host.heard
    assert asked.pin_block == given_openly.pin_block


def test_a_repeat_is_answered_alike_or_it_is_a_finding(counter, answer, capsys):
    with counter(approves(answer)) as host:
        assert run("--amount", "5", "--repeat", "2", "--port", str(host.port)) == 0
    assert [heard.mti for heard in host.heard] == ["0200", "0201", "0201"]
    assert len({heard.trace for heard in host.heard}) == 1

    def forgetful(peer, request):
        peer.send(answer(request) if request.mti == "0200" else answer(request, "94", "IDENTITY_REUSED"))

    with counter(forgetful) as host:
        assert run("--amount", "5", "--repeat", "1", "--port", str(host.port)) == 1
    assert "94 IDENTITY_REUSED" in capsys.readouterr().err


def test_payments_of_the_same_instant_bear_different_trace_numbers(counter, answer, capsys):
    """The trace number is drawn: with a fixed clock, a second payment must not be taken for a repeat of the first."""
    with counter(approves(answer)) as host:
        for _ in range(4):
            run("--amount", "5", "--port", str(host.port))
    assert len({heard.trace for heard in host.heard}) > 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--amount", "12.505"],
        ["--amount", "x"],
        [],
        ["--balance", "--amount", "5"],
        ["--amount", "5", "--pin", "12"],
        ["--amount", "5", "--pin", "abcd"],
        ["--amount", "5", "--expiry", "2813"],
        ["--amount", "5", "--cvv2", "1"],
        ["--amount", "5", "--entry", "telepathy"],
        ["--amount", "5", "--clock", "2026-05-12T12:30:00"],
        ["--amount", "5", "--clock", "noon"],
        ["--amount", "5", "--product", "9"],
        ["--amount", "5", "--trace", "0"],
        ["--amount", "5", "--repeat", "-1"],
        ["--amount", "5", "--port", "many"],
        ["--amount", "5", "--zone", "Mars/Olympus"],
        ["--amount", "5", "--terminal", "XXX00001"],
        ["--amount", "5", "--terminal", "XXX000001", "--merchant", "M"],
        ["--balance", "--partial"],
        ["--balance", "--reverse"],
        ["--amount", "5", "--host", "a..b"],
        ["--amount", "5", "--config", "/nonexistent.toml"],
        ["--amount", "5", "--no-such-option"],
        ["--amount", "5", "--pinn", "1234"],
        ["--amount", "5", "9250100000000022"],
        ["--amount"],
    ],
)
def test_wrong_use_is_one_line_on_standard_error_and_exits_2(arguments, capsys):
    assert run(*arguments, *([] if arguments == ["--amount"] else ["--port", "1"])) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("simulate: ")
    assert err.count("\n") == 1
    assert not any(secret in err for secret in (PAN, "1234", "9250100000000022"))


def test_what_the_dialect_cannot_carry_is_wrong_use(counter, capsys):
    with counter(lambda peer, request: None) as host:
        assert run("--amount", "5", "--merchant", "Café", "--port", str(host.port)) == 2
    err = capsys.readouterr().err
    assert "DE 42" in err
    assert err.count("\n") == 1


def test_a_port_that_cannot_be_is_wrong_use(capsys):
    assert run("--amount", "5", "--port", "70000") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_nobody_answering_is_one_line_that_says_what_to_do(capsys, counter):
    with counter(lambda peer, request: None) as host:
        pass
    assert run("--amount", "5", "--port", str(host.port)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"127.0.0.1:{host.port}" in err
    assert "--port" in err
    assert err.count("\n") == 1


def test_an_unknown_outcome_says_how_to_ask_again_without_paying_twice(counter, capsys, monkeypatch):
    with counter(lambda peer, request: peer.cut()) as host:
        assert run("--amount", "5", "--trace", "42", "--port", str(host.port)) == 2
    err = capsys.readouterr().err
    assert "--trace 42 --clock 2026-05-12T12:30:00+02:00" in err
    assert err.count("\n") == 1


def test_an_unanswered_payment_is_not_an_approved_one(counter, capsys, monkeypatch):
    async def never(self, request, timeout=0.0):
        raise NoReply("no reply within 8 s")

    monkeypatch.setattr("simulators.acquirer.host.AcquirerHost.exchange", never)
    with counter(lambda peer, request: None) as host:
        assert run("--amount", "5", "--port", str(host.port)) == 2


@pytest.mark.parametrize("arguments", [["--help"], ["pay", "--help"]])
def test_help_exits_0(arguments, capsys):
    assert cli.main(arguments) == 0
    assert "pay" in capsys.readouterr().out


def test_with_a_journal_trace_numbers_go_on_and_nothing_is_left(counter, answer, capsys, tmp_path):
    with counter(approves(answer)) as host:
        for _ in range(3):
            assert run("--amount", "5", "--pin", "1234", "--data", str(tmp_path), "--port", str(host.port)) == 0
    first, second, third = (int(heard.trace) for heard in host.heard)
    assert (second, third) == (first % 999_999 + 1, second % 999_999 + 1)
    assert capsys.readouterr().err == ""


def test_with_a_journal_no_answer_means_that_the_payment_is_taken_back(counter, answer, capsys, tmp_path):
    def script(peer, request):
        if request.mti == "0200":
            peer.cut()
        else:
            peer.send(answer(request))

    with counter(script) as host:
        assert run("--amount", "5", "--data", str(tmp_path), "--port", str(host.port)) == 2
    assert [heard.mti for heard in host.heard] == ["0200", "0400"]
    err = capsys.readouterr().err
    assert "taken back" in err
    assert err.count("\n") == 1


def test_a_later_run_finishes_first_what_an_earlier_one_left(counter, answer, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(pay, "PATIENCE", Patience(again_every_s=0.3, reversals_max_tries=2))
    with counter(lambda peer, request: peer.cut()) as host:
        assert run("--amount", "5", "--data", str(tmp_path), "--port", str(host.port)) == 2
    assert "not acknowledged" in capsys.readouterr().err
    with counter(approves(answer)) as host:
        assert run("--amount", "6", "--data", str(tmp_path), "--port", str(host.port)) == 0
    assert [heard.mti for heard in host.heard] == ["0401", "0200"]
    out, err = capsys.readouterr()
    assert "0 taken back, 1 told" in err
    assert "6,00 €" in out


def test_the_journal_counts_the_trace_numbers_and_belongs_to_one_run_at_a_time(capsys, tmp_path):
    assert run("--amount", "5", "--data", str(tmp_path), "--trace", "7", "--port", "1") == 2
    with Journal(tmp_path):
        assert run("--amount", "5", "--data", str(tmp_path), "--port", "1") == 2
    err = capsys.readouterr().err
    assert "--trace" in err
    assert "another till" in err
    assert err.count("\n") == 2
