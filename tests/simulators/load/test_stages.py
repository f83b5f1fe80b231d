"""A host's own histograms: whatever they are called, what counts is what they rose by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.load.stages import MetricsUnreadable, between, parse


def page(name, labels, counts):
    lines = [f"# TYPE {name} histogram"]
    lines += [f'{name}_bucket{{{labels}le="{edge}"}} {count}' for edge, count in counts.items()]
    return "\n".join(lines) + "\n"


def test_a_histogram_without_a_stage_is_called_by_its_own_name():
    [stage] = between({}, parse(page("authz_append_seconds", "", {"0.001": 1, "+Inf": 1})))
    assert stage.name == "authz_append"


def test_other_labels_add_up_and_other_units_are_passed_over():
    text = page("x_seconds", 'stage="append",partition="0",', {"0.1": 2, "+Inf": 2})
    text += 'x_seconds_bucket{stage="append",partition="1",le="0.1"} 3\n'
    text += 'x_seconds_bucket{stage="append",partition="1",le="+Inf"} 3\n'
    text += page("batch_records", "", {"1": 4, "+Inf": 9})
    [stage] = between({}, parse(text))
    assert (stage.name, stage.count) == ("append", 5)


@given(st.lists(st.integers(0, 100), min_size=3, max_size=3), st.lists(st.integers(0, 100), min_size=3, max_size=3))
def test_only_what_came_between_two_readings_counts(earlier, later):
    """A percentile lies in the bucket in which that many had come; beyond the last there is none to tell."""
    edges = (0.001, 0.01, float("inf"))
    before = {edge: sum(earlier[: number + 1]) for number, edge in enumerate(edges)}
    after = {edge: before[edge] + sum(later[: number + 1]) for number, edge in enumerate(edges)}
    stages = between({"x": before}, {"x": after})
    assert len(stages) == (sum(later) > 0)
    for stage in stages:
        assert stage.count == sum(later)
        if stage.p50_ms is None:
            assert 2 * (later[0] + later[1]) < sum(later)
        else:
            assert 0 <= stage.p50_ms <= 10
            assert (stage.p50_ms <= 1) == (2 * later[0] >= sum(later))


def test_what_is_no_page_of_metrics_is_said_to_be_none():
    with pytest.raises(MetricsUnreadable, match="Prometheus"):
        parse('x_seconds_bucket{le="0.1"} many\n')
