"""An authorizer with an embedded database anchors its ledger beside it, and others prove the ledger by that."""

import subprocess
from pathlib import Path

from ledger.anchors import read
from ledger.signing import Verifier, public_path
from tests.acceptance.authorizer import TUESDAY, eventually, running
from tests.acceptance.counter import ask, purchase
from tests.programs import run


def prove(data: Path) -> subprocess.CompletedProcess[str]:
    """Verify a data folder's ledger against the anchors that lie there."""
    options = ("--anchor", data / "anchors.jsonl", "--key", public_path(data / "anchors.pem"))
    return run("ledger", "verify", "--data", data, *options)


def test_what_was_acknowledged_is_anchored_at_the_latest_when_it_stops(data: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--data", str(data), "--clock", TUESDAY) as authorizer:
        for _ in range(3):
            assert ask(authorizer.port, purchase("0014", 100)).response_code == "00"
        assert authorizer.terminate() == 0
    verifier = Verifier.load(public_path(data / "anchors.pem"))
    *_, newest = read(data / "anchors.jsonl", verifier)
    proved = prove(data)
    assert proved.returncode == 0, proved.stderr
    assert f"ends in record {newest.seq}, {newest.hash}" in proved.stdout
    assert (data / "anchors.pem").stat().st_mode & 0o077 == 0


def test_the_age_of_the_newest_anchor_is_a_metric(data: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--data", str(data), "--clock", TUESDAY) as authorizer:
        eventually(lambda: (data / "anchors.jsonl").exists())
        _, exposition = authorizer.get("/metrics")
        assert "ledger_anchor_age_seconds " in exposition
        assert "ledger_anchor_failures_total 0.0" in exposition
