"""Hold `requirements.lock` to `pyproject.toml`: resolve again with the pins kept, and compare.

`--write` writes the answer instead of comparing; `--write --upgrade` also moves the pins.
Exit status: 0 fresh, 1 stale, 2 the resolver could not answer.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"


def resolve(into: Path, *flags: str) -> None:
    """Write the resolution to `into`, starting from the pins already there."""
    command = [
        str(Path(sys.executable).with_name("uv")), "pip", "compile", "pyproject.toml", "--group", "dev",
        "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-emit-index-url",
        "--no-annotate", "--quiet", "--output-file", str(into), *flags,
    ]  # fmt: skip
    if subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode:  # noqa: S603
        sys.exit(2)


def main() -> None:
    """Compare, or write when asked to."""
    if "--write" in sys.argv:
        resolve(LOCK, *[flag for flag in sys.argv if flag == "--upgrade"])
        return
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / LOCK.name
        shutil.copy(LOCK, again)
        resolve(again)
        if again.read_text() != LOCK.read_text():
            sys.exit("requirements.lock is stale: run `make lock` and commit what it writes")


if __name__ == "__main__":
    main()
