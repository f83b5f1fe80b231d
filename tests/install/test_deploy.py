"""What an administrator is given: the systemd unit, and Debian's steps, which are the container's too."""

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from authz.engine import engine
from authz.links import server
from ledger.embedded import START_TIMEOUT_S, STOP_TIMEOUT_S
from tests.programs import run

DEPLOY = Path(str(files("authz"))) / "deploy"
UNIT = DEPLOY / "systemd" / "authz.service"
EXPOSURE_MAX = 2.0
"""By `systemd-analyze security`: 0 is shut off from everything, 10 runs as root with no limit."""

analysed = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def service() -> dict[str, list[str]]:
    """The settings of the unit's section [Service]; a setting may come several times."""
    text = UNIT.read_text().replace("\\\n", " ").partition("[Service]")[2].partition("[Install]")[0]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@analysed
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Programs that aren't installed here aside."""
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/authz/bin/authz", shutil.which("true") or "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", here], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@analysed
def test_the_unit_is_shut_off_from_what_it_does_not_need() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for authz\.service: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) < EXPOSURE_MAX
    # docs/install.md tells it.
    page = (Path(__file__).parents[2] / "docs/install.md").read_text()
    assert f"exposure {found[1]}" in page


def test_systemd_waits_as_long_as_the_drain_and_the_start_may_take() -> None:
    drain_s = server.DRAIN_MAX_S + engine.DRAIN_MAX_S
    assert int(service()["TimeoutStopSec"][0]) >= drain_s + 2 * STOP_TIMEOUT_S
    assert int(service()["TimeoutStartSec"][0]) > START_TIMEOUT_S


def test_the_units_command_is_one_that_authz_knows() -> None:
    [command] = service()["ExecStart"]
    words = command.split()
    assert words[:2] == ["/opt/authz/bin/authz", "serve"]
    known = run("authz", "serve", "--help").stdout
    assert all(word in known for word in words if word.startswith("--"))
    assert service()["LoadCredential"][0].partition(":")[0] in command


def test_a_mistake_that_a_person_must_mend_is_not_tried_again_and_again() -> None:
    assert service()["Restart"] == ["on-failure"]
    assert service()["RestartPreventExitStatus"] == ["2"]


def test_the_steps_for_debian_are_a_sound_script() -> None:
    subprocess.run(["sh", "-n", DEPLOY / "debian.sh"], check=True)
    done = subprocess.run(["sh", DEPLOY / "debian.sh"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "say the folder" in done.stderr


def test_the_container_takes_the_same_steps_and_runs_as_nobody_special() -> None:
    steps = (DEPLOY / "Containerfile").read_text()
    assert "sh /dist/debian.sh /dist" in steps
    assert re.search(r"^USER authz$", steps, re.MULTILINE)
    assert re.search(r"^STOPSIGNAL SIGTERM$", steps, re.MULTILINE)
    assert "/healthz" in steps


@pytest.mark.parametrize("file", ["Containerfile", "debian.sh"])
def test_no_step_names_where_packages_come_from(file: str) -> None:
    """Which registry and index that is, each site says itself."""
    addresses = re.findall(r"https?://[^\s'\")]+", (DEPLOY / file).read_text())
    assert all("127.0.0.1" in address for address in addresses)
    assert "index-url" not in (DEPLOY / file).read_text()
