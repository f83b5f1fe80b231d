"""Rules and panels name only metrics and labels that exist."""

from typing import Any

import pytest

from authz.metrics.collectors import SECONDS
from tests.deploy.files import OF_TARGETS, alerts, dashboard, exposed, known, named_in, panels, rules

KNOWN = known()
RULES = [pytest.param(rule, id=rule.get("alert") or rule["record"]) for rule in rules()]
PANELS = [pytest.param(panel, id=panel["title"]) for panel in panels()]
NEITHER_DRAWN_NOR_ALARMED = frozenset({
    "process_virtual_memory_bytes",
    "python_gc_objects_collected_total",
    "python_gc_objects_uncollectable_total",
    "python_info",
})  # fmt: skip


def check(expression: str) -> None:
    named = named_in(expression)
    assert named.metrics, expression
    of_all = set(OF_TARGETS)
    for name, labels in named.metrics:
        assert name in KNOWN, f"{name} is no metric"
        assert labels <= KNOWN[name] | OF_TARGETS, f"{name} has no label {labels - KNOWN[name]}"
        of_all |= KNOWN[name]
    assert named.grouped_by <= of_all, f"nothing here bears {named.grouped_by - of_all}"


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_names_what_exists(rule: dict[str, Any]) -> None:
    check(rule["expr"])


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_names_what_exists(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        check(target["expr"])


def test_the_dashboard_s_variables_and_annotations_name_what_exists() -> None:
    board = dashboard()
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = variable["definition"].removeprefix("label_values(").removesuffix(")").split(", ")
            assert label in KNOWN[metric] | OF_TARGETS
    for annotation in board["annotations"]["list"]:
        if "expr" in annotation:
            check(annotation["expr"])


def test_all_that_an_engine_exposes_is_drawn_or_alarmed() -> None:
    used = {
        name
        for expression in [
            *(rule["expr"] for rule in rules()),
            *(target["expr"] for panel in panels() for target in panel["targets"]),
        ]
        for name, _ in named_in(expression).metrics
    }
    histograms = {name.removesuffix("_bucket") for name in exposed() if name.endswith("_bucket")}
    parts = {name + suffix for name in histograms for suffix in ("_bucket", "_sum", "_count")}
    assert set(exposed()) - parts - NEITHER_DRAWN_NOR_ALARMED <= used
    assert all(any(name + suffix in used for suffix in ("_bucket", "_sum", "_count")) for name in histograms)


def test_the_objective_for_the_time_of_an_answer_is_the_edge_of_a_bucket() -> None:
    edges = {f'"{edge}"' for edge in SECONDS}
    written = {part.split("}")[0] for rule in rules() for part in rule["expr"].split("le=")[1:]}
    assert written == {'"0.05"'}
    assert written <= edges


def test_expressions_that_name_nothing_known_are_found() -> None:
    for wrong in ("authz_no_such_total", 'authz_ready{reason="x"}', "sum by (reason) (authz_ready)"):
        with pytest.raises(AssertionError):
            check(wrong)


def test_there_are_alerts() -> None:
    assert len({rule["alert"] for rule in alerts()}) > 20
