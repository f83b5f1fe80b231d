"""Prometheus's own tool checks the rules, runs their unit tests, and reads the configuration."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import PROMETHEUS, RULES

PROMTOOL = shutil.which("promtool")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")


def promtool(*arguments: str | Path) -> None:
    assert PROMTOOL is not None
    ended = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False, timeout=100)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_rules_are_well_formed() -> None:
    promtool("check", "rules", RULES)


def test_the_example_of_a_configuration_is_well_formed() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


def test_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", PROMETHEUS / "authz.rules.test.yml")


@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
def test_alerts_that_look_a_week_back_do_too() -> None:
    promtool("test", "rules", Path(__file__).parent / "week.rules.test.yml")
