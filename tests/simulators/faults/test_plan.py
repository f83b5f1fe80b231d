"""A plan says what goes wrong when, by frames or by the clock, and its file is held to what a plan is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.faults.fates import Faults, LineFaults
from simulators.faults.plan import Course, Phase, Plan, PlanUnreadable, lasting, read

WRITTEN = """
[[phase]]
for_frames = 20

[[phase]]
for_s = 10
both.drop = 50

[[phase]]
for_s = 2.5
both.drop = 50
from.blackhole = 1000
refuse = 1000

[[phase]]
"""
MEANT = Plan(
    phase=(
        Phase(for_frames=20),
        Phase(for_s=10, both=Faults(drop=50)),
        Phase(for_s=2.5, both=Faults(drop=50), from_=Faults(blackhole=1_000), refuse=1_000),
        Phase(),
    )
)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def dropped(course):
    return course.faults.both.drop


def test_a_plan_is_read_as_it_is_written(tmp_path):
    written = tmp_path / "plan.toml"
    written.write_text(WRITTEN)
    assert read(written) == MEANT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "phase"),
        ("phase = []", "phase"),
        ("[[phase]]\nboth.dorp = 5", "dorp"),
        ("[[phase]]\nto.drop = 1001", r"\$.phase\[0\].to.drop"),
        ("[[phase]]\nto.drop = '50'", r"\$.phase\[0\].to.drop"),
        ("[[phase]]\nfrom.delay_min_ms = 300", "delay_min_ms"),
        ("[[phase]]\nfrom_.drop = 1", "from_"),
        ("[[phase]]\nfor_s = 1\nfor_frames = 1", "not both"),
        ("[[phase]]\nfor_s = 0", "for_s"),
        ("[[phase]]\n[[phase]]", "last phase"),
        ("[[phase]]\nseconds = 3", "seconds"),
        ("phases = 3", "phases"),
        ("[[phase", "plan.toml"),
        ("\xff", "plan.toml"),
    ],
)
def test_a_plan_that_is_none_is_one_line_that_names_the_place(tmp_path, text, said):
    written = tmp_path / "plan.toml"
    written.write_bytes(text.encode("latin-1"))
    with pytest.raises(PlanUnreadable, match=said) as wrong:
        read(written)
    assert "\n" not in str(wrong.value)


def test_a_plan_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(PlanUnreadable, match="No such file"):
        read(tmp_path / "plan.toml")


@given(st.lists(st.integers(1, 20), min_size=1, max_size=10))
def test_counted_phases_end_at_their_very_frame(lengths):
    plan = Plan(phase=tuple(Phase(for_frames=count, both=Faults(drop=at)) for at, count in enumerate(lengths, 1)))
    course, seen = Course(plan, Clock()), []
    for _ in range(sum(lengths) + 5):
        seen.append(dropped(course))
        course.passed()
    assert seen == [at for at, count in enumerate(lengths, 1) for _ in range(count)] + [0] * 5


@given(st.lists(st.integers(1, 20), min_size=1, max_size=10), st.lists(st.integers(0, 200), max_size=20).map(sorted))
def test_timed_phases_are_where_the_clock_is_however_seldom_one_looks(lengths, instants):
    plan = Plan(phase=tuple(Phase(for_s=seconds, both=Faults(drop=at)) for at, seconds in enumerate(lengths, 1)))
    second_by_second = [at for at, seconds in enumerate(lengths, 1) for _ in range(seconds)]
    clock = Clock()
    course = Course(plan, clock)
    for clock.now_s in instants:
        expected = second_by_second[clock.now_s] if clock.now_s < len(second_by_second) else 0
        assert dropped(course) == expected


def test_after_20_frames_drop_for_10_s_then_blackhole_then_heal():
    clock = Clock()
    course = Course(MEANT, clock)
    for _ in range(20):
        assert course.faults == MEANT.phase[0]
        clock.now_s += 100
        course.passed()
    assert course.faults == MEANT.phase[1]
    clock.now_s += 9.9
    assert course.faults == MEANT.phase[1]
    clock.now_s += 0.1
    assert course.faults == MEANT.phase[2]
    clock.now_s += 2.5
    assert course.faults == MEANT.phase[3]
    clock.now_s += 1e6
    course.passed()
    assert course.faults == MEANT.phase[3]


def test_a_phase_without_an_end_stays():
    course = Course(Plan(phase=(Phase(both=Faults(drop=7)),)), Clock())
    for _ in range(100):
        course.passed()
    assert dropped(course) == 7


def test_what_goes_wrong_from_now_on_is_a_plan_of_one_phase():
    line = LineFaults(both=Faults(drop=1), from_=Faults(cut=2), refuse=3)
    assert lasting(line) == Plan(phase=(Phase(both=Faults(drop=1), from_=Faults(cut=2), refuse=3),))
    assert lasting(Faults(drop=1)) == Plan(phase=(Phase(both=Faults(drop=1)),))
