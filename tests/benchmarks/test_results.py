"""The file of results: sections side by side, tables in Markdown, and the plot."""

import json

import pytest
from defusedxml import ElementTree

from benchmarks.bounds import Bound
from benchmarks.ground import ResultsUnusable, keep
from benchmarks.machine import Machine
from benchmarks.plot import latency_by_rate
from benchmarks.report import SATURATED, YARDSTICK, Report
from benchmarks.rows import row
from benchmarks.steady import Side, Steady
from benchmarks.tables import Results, lines_of, tables
from simulators.load.latencies import Latencies

SECOND = 1_000_000_000
MACHINE = Machine("today", 2, "a processor", "Linux", "3.11", "18", "ext4", 0.1)


def line(name, rate, asked=None):
    latencies = Latencies()
    latencies.record(2_000_000)
    return row(name, latencies, rate, SECOND, asked=asked)


REPORT = Report(
    machine=MACHINE,
    holders=10,
    rows=(
        line("commit, 1 row", 1_000),
        line(YARDSTICK, 500),
        line("pgbench TPC-B-like, 8 clients", 900),
        line("row-lock function, 16 clients", 3_000),
        line(YARDSTICK, 400, 400),
        line("authorizer, TCP and PIN", 400, 400),
        line(SATURATED, 4_000, 4_000),
    ),
    tries=(line("authorizer, TCP and PIN", 4_000, 4_000),),
    bounds=(Bound(what="times it", value=4.44, unit="×", least=3.0),),
)
SIDE = Side("", 1, 0, 1.0, 1.0, 1.0)
STEADY = Steady(machine=MACHINE, rate=1, turns=1, seconds=1, append=SIDE, authorizer=SIDE, bounds=())


def test_each_command_has_a_section_and_leaves_the_others_as_they_are(tmp_path):
    file = tmp_path / "folder" / "results.json"
    keep(file, "comparison", REPORT)
    keep(file, "steady", STEADY)
    keep(file, "comparison", REPORT)
    assert list(json.loads(file.read_text())) == ["comparison", "steady"]
    assert [path.name for path in file.parent.iterdir()] == ["results.json"]


def test_every_figure_of_the_tables_is_in_the_file(tmp_path, capsys):
    file = tmp_path / "results.json"
    keep(file, "comparison", REPORT)
    assert tables(json=file) == 0
    told = capsys.readouterr().out
    assert told.splitlines() == list(lines_of(Results(comparison=REPORT)))
    assert "| row-lock function, 16 clients |  | 3,000 | 2.00 | 2.00 | 2.00 | 1.00 |" in told
    assert "| times it | 4.44 × | ≥ 3 × | yes |" in told


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    heads = 0
    for text in lines_of(Results(comparison=REPORT, steady=STEADY)):
        if text.startswith("|"):
            heads = text.count("|") if text.startswith("|  |") or not heads else heads
            assert text.count("|") == heads
        else:
            heads = 0


def test_a_section_of_a_command_that_has_no_table_is_passed_over(tmp_path):
    file = tmp_path / "results.json"
    keep(file, "scrape", {"anything": 1})
    assert tables(json=file) == 0


@pytest.mark.parametrize("text", ["", "[]", "no JSON"])
def test_a_file_that_holds_something_else_is_neither_overwritten_nor_shown(tmp_path, text):
    file = tmp_path / "other"
    file.write_text(text)
    with pytest.raises(ResultsUnusable):
        keep(file, "comparison", REPORT)
    assert file.read_text() == text
    with pytest.raises(ResultsUnusable):
        tables(json=file)


def test_the_plot_has_every_contender_and_both_curves():
    svg = latency_by_rate(REPORT)
    text = " ".join(ElementTree.fromstring(svg.encode()).itertext())
    for name in ("row-lock function, 16 clients", "pgbench TPC-B-like, 8 clients", "authorizer, p99", YARDSTICK):
        assert name in text
