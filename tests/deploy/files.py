"""The files that an installation takes, and what is known of the metrics that they name."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from msgspec import Struct
from prometheus_client.metrics_core import Metric

import authz.deploy
from authz.metrics import Metrics

DEPLOY = Path(authz.deploy.__file__).parent
PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "authz.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "authz.json"
DOCS = Path(__file__).parents[2] / "docs"

OF_TARGETS = frozenset({"job", "instance"})
"""Labels that Prometheus gives to all that it scrapes."""
FINANCE: Mapping[str, frozenset[str]] = {
    "ledger_breaks": frozenset({"cause"}),
    "ledger_break_age_days": frozenset({"cause"}),
    "ledger_close_timestamp_seconds": frozenset(),
    "ledger_close_ok": frozenset(),
}
"""What `ledger close` writes for node_exporter's textfile collector."""
NODE: Mapping[str, frozenset[str]] = {
    name: frozenset({"mountpoint", "fstype", "device"})
    for name in ("node_filesystem_avail_bytes", "node_filesystem_size_bytes")
}
"""node_exporter's own."""
PROMETHEUS_S_OWN: Mapping[str, frozenset[str]] = {
    "up": frozenset(),
    "ALERTS": frozenset({"alertname", "alertstate", "severity"}),
}

_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}
_WORDS = frozenset({"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset"})
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?\{([^}]*)\}")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NAME = re.compile(r"(?<![\w:$.])([a-zA-Z_:][\w:]*)(?!\w)(?!\s*\()")


class Named(Struct, frozen=True):
    """What an expression names: metrics with the labels that they are selected by, and labels that it groups by."""

    metrics: tuple[tuple[str, frozenset[str]], ...]
    grouped_by: frozenset[str]


def named_in(expression: str) -> Named:
    """Find the metrics and labels in a PromQL expression.

    >>> named = named_in('sum by (link) (rate(a_total{why="x"}[5m])) / on () group_left () b offset 1w')
    >>> sorted((name, *labels) for name, labels in named.metrics), sorted(named.grouped_by)
    ([('a_total', 'why'), ('b',)], ['link'])
    """
    found: list[tuple[str, frozenset[str]]] = []

    def take(selector: re.Match[str]) -> str:
        labels = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", _STRING.sub('""', selector[2]))
        found.append((selector[1], frozenset(labels)))
        return " "

    left = _STRING.sub(" ", _SELECTOR.sub(take, expression))
    grouped = frozenset(word for labels in _GROUPING.findall(left) for word in re.findall(r"\w+", labels))
    left = _RANGE.sub(" ", _GROUPING.sub(" ", left))
    found += [(name, frozenset()) for name in _NAME.findall(left) if name not in _WORDS]
    return Named(tuple(found), grouped)


def exposed() -> Mapping[str, frozenset[str]]:
    """All that an engine exposes, by the name of the series: which labels it bears."""
    return dict(_exposed(Metrics().registry._collector_to_names))


def known() -> Mapping[str, frozenset[str]]:
    """All that may be named: an engine's metrics, finance's, the node's, Prometheus's own, what rules record."""
    recorded = {rule["record"]: frozenset[str]() for rule in rules() if "record" in rule}
    return {**exposed(), **FINANCE, **NODE, **PROMETHEUS_S_OWN, **recorded}


def rules() -> list[dict[str, Any]]:
    """All rules, in their order."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Those that are alerts."""
    return [rule for rule in rules() if "alert" in rule]


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    read: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return read


def panels() -> list[dict[str, Any]]:
    """Its panels other than the rows' titles."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def _exposed(collectors: Iterable[Any]) -> Iterator[tuple[str, frozenset[str]]]:
    for collector in collectors:
        families: list[Metric] = list(getattr(collector, "describe", collector.collect)())
        for family in families:
            names = getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", None) or ()
            labels = frozenset(names) | {label for sample in family.samples for label in sample.labels}
            for suffix in _SUFFIXES.get(family.type, ("",)):
                yield family.name + suffix, labels | ({"le"} if suffix == "_bucket" else frozenset())
