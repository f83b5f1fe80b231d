"""The dashboard's form: what a person sees, and what Grafana needs."""

import itertools
from typing import Any

import pytest

from tests.deploy.files import dashboard, panels

COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
PANELS = [pytest.param(panel, id=panel["title"]) for panel in panels()]
Place = tuple[int, int, int, int]


def place(panel: dict[str, Any]) -> Place:
    at = panel["gridPos"]
    return at["x"], at["y"], at["w"], at["h"]


def overlap(one: Place, other: Place) -> bool:
    (x, y, w, h), (x2, y2, w2, h2) = one, other
    return x < x2 + w2 and x2 < x + w and y < y2 + h2 and y2 < y + h


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_a_title_a_meaning_a_unit_and_queries(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == DATASOURCE
    assert panel["fieldConfig"]["defaults"]["unit"]
    references = [target["refId"] for target in panel["targets"]]
    assert references == sorted(set(references))
    for target in panel["targets"]:
        assert target["datasource"] == DATASOURCE
        assert target["expr"]


@pytest.mark.parametrize("panel", PANELS)
def test_what_an_engine_exposes_can_be_looked_at_by_engine(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        selectors = target["expr"].count("authz_") - target["expr"].count("job:authz_")
        assert target["expr"].count('instance=~"$instance"') >= selectors


def test_panels_stand_side_by_side_in_24_columns_and_none_over_another() -> None:
    places = [place(panel) for panel in dashboard()["panels"]]
    assert all(x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= COLUMNS for x, y, w, h in places)
    for one, other in itertools.combinations(places, 2):
        assert not overlap(one, other), (one, other)


def test_no_line_has_a_gap() -> None:
    cells = {
        (column, line)
        for x, y, w, h in map(place, dashboard()["panels"])
        for column in range(x, x + w)
        for line in range(y, y + h)
    }
    assert len(cells) == COLUMNS * (1 + max(line for _, line in cells))


def test_rows_tell_the_story_from_is_it_well_to_finance() -> None:
    board = dashboard()["panels"]
    rows = [panel for panel in board if panel["type"] == "row"]
    assert [row["title"] for row in rows] == [
        "Is it well?",
        "Decisions",
        "Latency by stage",
        "Ledger",
        "Links",
        "Bulk work and e-mails",
        "Process",
        "Finance",
    ]
    assert board[0] is rows[0]
    assert [panel["gridPos"]["y"] for panel in board] == sorted(panel["gridPos"]["y"] for panel in board)


def test_it_can_be_imported_anywhere() -> None:
    board = dashboard()
    assert board["schemaVersion"] >= 39
    assert "id" not in board
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "instance", "stage"]
    numbers = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert len(set(titles)) == len(titles)
