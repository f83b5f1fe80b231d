"""`simulate load` as one uses it: exit codes, files, bounds, comparison. The host is a scripted one."""

import asyncio
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import msgspec
import pytest

from simulators.cli import main
from simulators.load.result import read

SHORT = ("--rate", "200", "--duration", "0.2s", "--warm-up", "0s")


@pytest.fixture
def simulate(hosting, capsys):
    """Run `simulate load` against a script, on a loop of its own as the command has; give code, output and errors."""

    async def simulated(script, *arguments):
        async with hosting(script) as host:
            code = await asyncio.to_thread(main, ["load", "--port", str(host.port), *SHORT, *map(str, arguments)])
            printed = capsys.readouterr()
            return code, printed.out, printed.err, host

    return simulated


@pytest.fixture
def approve(answer):
    return lambda peer, request: peer.send(answer(request))


@pytest.fixture
async def result_file(simulate, approve, tmp_path):
    file = tmp_path / "a.json"
    await simulate(approve, "--out", file, "--mix", "purchase=3,inquiry=1")
    return file


async def test_a_run_tells_latencies_by_message_and_reason_and_exits_0(simulate, answer):
    def script(peer, request):
        peer.send(answer(request, "55", "PIN_WRONG") if int(request.trace) % 2 else answer(request))

    code, out, err, host = await simulate(script, "--mix", "purchase=1,inquiry=1", "--entries", "contactless")
    assert (code, err) == (0, "")
    assert 0 < len(host.heard) < 200
    for words in ("purchase contactless", "inquiry contactless", "PIN_WRONG", "APPROVED", "p99.9", "asked 200.0/s"):
        assert words in out


async def test_bounds_that_are_kept_exit_0(simulate, approve):
    code, _, err, _ = await simulate(approve, "--p50", "1m", "--p99", "60s", "--errors", 0, "--unanswered", 0)
    assert (code, err) == (0, "")


async def test_a_broken_bound_exits_1_and_says_which_and_by_how_much(simulate, approve):
    code, _, err, _ = await simulate(approve, "--p99", "1us", "--max", "1m")
    assert code == 1
    said = re.fullmatch(r"simulate: p99 is ([0-9.,]+) ms, above 0\.001 ms: .* ms too much, .* times as much\n", err)
    assert said is not None


async def test_replies_that_a_sound_request_never_meets_are_errors(simulate, answer):
    code, _, err, host = await simulate(
        lambda peer, request: peer.send(answer(request, "96", "INTERNAL")), "--errors", 0
    )
    assert code == 1
    assert err == f"simulate: errors is {len(host.heard)}, above 0: {len(host.heard)} too much\n"


async def test_nothing_listening_exits_2(capsys, unused_port):
    assert await asyncio.to_thread(main, ["load", "--port", str(unused_port)]) == 2
    assert capsys.readouterr().err == f"simulate: nothing answers at 127.0.0.1:{unused_port}\n"


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--p99", "20"),
        ("--duration", "0s"),
        ("--duration", "2days"),
        ("--rate", "20001"),
        ("--rate", "0"),
        ("--mix", "coffee"),
        ("--entries", "telepathy=1"),
        ("--cents-min", "5", "--cents-max", "4"),
        ("--clock", "noon"),
        ("--terminal", "NOWHERE1"),
        ("--errors", "-1"),
        ("--config", "/nonexistent.toml"),
        ("--compare", "/nonexistent.json", "/nonexistent.json"),
    ],
)
def test_wrong_use_exits_2_with_one_line(wrong, capsys):
    assert main(["load", *wrong]) == 2
    assert re.fullmatch(r"simulate: .+\n", capsys.readouterr().err)


async def test_sign_on_comes_first_on_every_connection(simulate, answer):
    code, _, _, host = await simulate(
        lambda peer, request: peer.send(answer(request)), "--sign-on", "--connections", 3, "--errors", 0
    )
    assert code == 0
    assert [peer.heard[0].network_code for peer in host.peers] == ["001"] * 3


async def test_a_worlds_holders_pay_with_their_cards(simulate, approve):
    _, _, _, host = await simulate(approve, "--world", 7, "--holders", 50, "--zipf", 1)
    assert {message.pan[:8] for message in host.heard} == {"92501017"}
    assert all(message.pin_block for message in host.heard)


async def test_a_result_read_again_has_what_was_measured(result_file):
    recorded = read(result_file)
    result = recorded.result
    assert recorded.asked.mix == "purchase=3,inquiry=1"
    assert result.answered == result.latencies().count > 0
    assert result.latencies().milliseconds(99) == result.p99_ms
    assert set(result.messages) == {"purchase chip", "inquiry chip"}


async def test_two_results_are_compared_by_message_with_their_ratio(result_file, capsys):
    assert await asyncio.to_thread(main, ["load", "--compare", str(result_file), str(result_file)]) == 0
    out = capsys.readouterr().out
    assert "purchase chip p99 ms" in out
    assert "1.00" in out
    assert "the same load was asked of both" in out or "did not hold its rate" in out


async def test_results_of_different_loads_are_said_to_be_so(simulate, approve, result_file, tmp_path, capsys):
    other = tmp_path / "b.json"
    await simulate(approve, "--out", other, "--pace", "uniform", "--mix", "purchase")
    assert await asyncio.to_thread(main, ["load", "--json", "--compare", str(result_file), str(other)]) == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert "pace: poisson and uniform" in told["differences"]
    assert "mix: purchase=3,inquiry=1 and purchase=1" in told["differences"]
    by_figure = {line["figure"]: line for line in told["lines"]}
    assert by_figure["asked/s"]["second"] == 200


async def test_a_file_that_is_no_result_exits_2(tmp_path, capsys):
    (tmp_path / "x.json").write_text("{}")
    assert await asyncio.to_thread(main, ["load", "--compare", *[str(tmp_path / "x.json")] * 2]) == 2
    assert "not a result" in capsys.readouterr().err


async def test_json_is_the_result_and_nothing_else(simulate, approve):
    code, out, _, host = await simulate(approve, "--json")
    assert code == 0
    assert msgspec.json.decode(out)["result"]["answered"] == len(host.heard)


METRICS = """# HELP host_stage_seconds By stage.
# TYPE host_stage_seconds histogram
host_stage_seconds_bucket{stage="decide",le="0.001"} %d
host_stage_seconds_bucket{stage="decide",le="0.01"} %d
host_stage_seconds_bucket{stage="decide",le="+Inf"} %d
host_stage_seconds_count{stage="decide"} %d
host_stage_seconds_sum{stage="decide"} 1
"""


@pytest.fixture
def metrics():
    """A page of metrics whose counts have risen by 90, 100, 100 each time that it is read."""
    reads = iter(range(1, 100))

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            times = next(reads)
            body = (METRICS % (90 * times, 100 * times, 100 * times, 100 * times)).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()
        thread.join()


async def test_the_hosts_stages_are_what_its_metrics_rose_by(simulate, approve, metrics):
    code, out, _, _ = await simulate(approve, "--metrics", metrics, "--json")
    assert code == 0
    [stage] = msgspec.json.decode(out)["stages"]
    assert (stage["name"], stage["count"]) == ("decide", 100)
    assert stage["p50_ms"] == pytest.approx(50 / 90)
    assert stage["p99_ms"] == pytest.approx(1 + 9 * 9 / 10)


async def test_metrics_that_cannot_be_read_exit_2(simulate, approve, unused_port):
    code, _, err, _ = await simulate(approve, "--metrics", f"http://127.0.0.1:{unused_port}/metrics")
    assert code == 2
    assert "--metrics: nothing to read" in err


async def test_the_page_holds_everything_and_asks_nothing_of_anybody(simulate, approve, metrics, tmp_path):
    page = tmp_path / "load.html"
    code, _, _, _ = await simulate(approve, "--report", page, "--metrics", metrics, "--p99", "1us", "--errors", 0)
    html = page.read_text()
    assert code == 1
    assert html.count("<svg") >= 3
    for words in ("purchase chip", "APPROVED", "decide", "above 0.001 ms", "errors: kept"):
        assert words in html
    assert "<script" not in html
    assert not re.search(r'(?:src|href)="(?!#)|url\((?!#)|@import', html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
