"""The alerts' form: who is called, after how long, what they are told, and where it goes on."""

import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.deploy.files import DOCS, PROMETHEUS, alerts, rules

ALERTS = [pytest.param(rule, id="-".join((rule["alert"], *rule["labels"].values()))) for rule in alerts()]
RUNBOOK = re.compile(r"docs/operations\.md#([a-z0-9-]+)")
LISTED = re.compile(r"^\| `(\w+)` \| (page|mail|page, mail) \| .+? \| .+? \| \[.+?\]\((\S+?)\) \|$", re.MULTILINE)
UNIT_TESTS = [PROMETHEUS / "authz.rules.test.yml", DOCS.parent / "tests" / "deploy" / "week.rules.test.yml"]


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as mkdocs and GitHub make them."""
    headings = re.findall(r"^#+ (.+?)(?: \{ ?#([\w-]+) ?\})?$", page, re.MULTILINE)
    return {given or re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading, given in headings}


@pytest.mark.parametrize("rule", ALERTS)
def test_an_alert_says_whom_it_calls_when_and_what_they_are_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"(Authz|Ledger)[A-Z]\w+", rule["alert"])
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["labels"]["severity"] in {"page", "mail"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert "$" not in rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")


def test_nobody_is_woken_by_less_than_a_minute() -> None:
    assert all(rule["for"] != "0m" for rule in alerts() if rule["labels"]["severity"] == "page")


def test_every_runbook_exists() -> None:
    written = anchors((DOCS / "operations.md").read_text())
    named = {RUNBOOK.fullmatch(rule["annotations"]["runbook_url"])[1] for rule in alerts()}  # type: ignore[index]
    assert named <= written, f"docs/operations.md lacks {sorted(named - written)}"


def test_alerts_of_one_name_differ_in_what_they_are_labelled() -> None:
    labelled = [(rule["alert"], *sorted(rule["labels"].items())) for rule in alerts()]
    assert len(set(labelled)) == len(labelled)


def test_recorded_names_say_level_metric_and_operation() -> None:
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    assert len(set(recorded)) == len(recorded)
    assert all(re.fullmatch(r"job:[a-z_]+:[a-z0-9_]+", name) for name in recorded)


def test_every_alert_has_a_unit_test_in_which_it_fires_and_one_in_which_it_is_silent() -> None:
    fires, silent = set(), set()
    for file in UNIT_TESTS:
        for case in yaml.safe_load(file.read_text())["tests"]:
            for check in case["promql_expr_test"]:
                [name] = re.findall(r'alertname=~?"([^"]+)"', check["expr"])
                if not check["exp_samples"]:
                    silent.add(name)
                for sample in check["exp_samples"]:
                    labels = dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))
                    fires.add((labels["alertname"], labels["severity"], labels.get("window")))
    assert fires == {(rule["alert"], rule["labels"]["severity"], rule["labels"].get("window")) for rule in alerts()}
    assert ".*" in silent
    assert {name for name, *_ in fires} - silent <= {"AuthzUndecided", "AuthzSlow"}


def test_the_page_on_monitoring_lists_the_alerts_as_they_are() -> None:
    page = (DOCS / "monitoring.md").read_text()
    listed = re.findall(
        r"^\| `(\w+)` \| (page|mail|page, mail) \| .+? \| .+? \| \[.+?\]\((\S+?)\) \|$", page, re.MULTILINE
    )
    written: dict[str, tuple[set[str], str]] = {}
    for rule in alerts():
        severities, _ = written.setdefault(rule["alert"], (set(), rule["annotations"]["runbook_url"]))
        severities.add(rule["labels"]["severity"])
    assert [name for name, *_ in listed] == list(written)
    for name, severity, runbook in listed:
        assert (set(severity.split(", ")), f"docs/{runbook}") == written[name]
