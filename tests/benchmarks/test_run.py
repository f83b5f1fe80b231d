"""A tiny run of the whole: its own PostgreSQL, its own authorizer, every row."""

import json
import subprocess
import sys

RUN_TIMEOUT_S = 100


ROWS = [
    ("fdatasync, 4 KiB", None),
    ("commit, 1 row", None),
    ("ledger.append, 1 record", None),
    ("pgbench TPC-B-like, 8 clients", None),
    ("row-lock function, 2 clients", None),
    ("ledger.append, 1 record", 40),
    ("authorizer, TCP and PIN", 40),
    ("authorizer, after a checkpoint, 0.2 s", 500),
    ("authorizer, later", 500),
]


def test_a_tiny_run_measures_every_row_and_prints_it(tmp_path):
    file = tmp_path / "results.json"
    sizes = ("--seconds", "0.2", "--rates", "40", "--holders", "40", "--clients", "2", "--scale", "1")
    ends = ("--rate-max", "40", "--checkpoint-seconds", "0.2", "--data", tmp_path, "--json", file)
    done = run(*sizes, *ends)
    assert done.returncode in (0, 1), done.stderr  # whether so tiny a run keeps its bounds is nobody's promise
    report = json.loads(file.read_text())["comparison"]
    assert [(row["name"], row["asked"]) for row in report["rows"] if row["name"] != "authorizer, saturated"] == ROWS
    for row in report["rows"]:
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] <= row["p99_9_ms"] <= row["max_ms"]
        assert row["errors"] == 0
        assert row["name"] in done.stdout
        assert row["count"] > 0
    for row in report["rows"]:
        if row["name"].startswith("authorizer"):
            assert row["batch"] >= 1
            assert row["wal_bytes"] > 0
    assert [row["asked"] for row in report["tries"]][:1] == [40]
    assert report["machine"]["cores"] >= 1
    assert sorted(tmp_path.iterdir()) == [file, file.with_suffix(".svg")]
    told = run("tables", "--json", file)
    assert told.returncode == 0, told.stderr
    assert all(f"| {name} |" in told.stdout for name, _ in ROWS)


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words], capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )


def test_wrong_use_is_one_line_and_exit_2():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rates", "0"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("benchmarks: ")
    assert len(done.stderr.splitlines()) == 1
