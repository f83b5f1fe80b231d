"""A tiny run of the whole: its own PostgreSQL, its own authorizer, every row."""

import json
import subprocess
import sys

RUN_TIMEOUT_S = 100


def test_a_tiny_run_measures_every_row_and_prints_it(tmp_path):
    file = tmp_path / "report.json"
    words = ("--seconds", "0.2", "--rates", "40", "80", "--holders", "5", "--data", tmp_path, "--json", file)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words], capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(file.read_text())
    assert [(row["name"], row["asked"]) for row in report["rows"]] == [
        ("fdatasync, 4 KiB", None),
        ("commit, 1 row", None),
        ("ledger.append, 1 record", None),
        ("ledger.append, 1 record", 40),
        ("authorizer, TCP and PIN", 40),
        ("ledger.append, 1 record", 80),
        ("authorizer, TCP and PIN", 80),
    ]
    for row in report["rows"]:
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] <= row["p99_9_ms"] <= row["max_ms"]
        assert (row["errors"], row["refusals"]) == (0, {})
        assert row["name"] in done.stdout
        assert row["count"] > 0
    assert all(row["batch"] >= 1 for row in report["rows"] if row["name"].startswith("authorizer"))
    assert report["machine"]["cores"] >= 1
    assert list(tmp_path.iterdir()) == [file]


def test_wrong_use_is_one_line_and_exit_2():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rates", "0"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("benchmarks: ")
    assert len(done.stderr.splitlines()) == 1
