"""Builds docs/ as a site and checks what it says of files and pages: run by `make check`.

Links and anchors between pages are mkdocs' own to check. What is left: the README's links; files of this project that
pages name; pages that would ask something of another host. With a folder as argument the site is kept there.
"""

import logging
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from markdown.extensions.toc import slugify  # type: ignore[import-untyped]
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

HOME = Path(__file__).parent.parent
README = HOME / "README.md"
ROOMS = ("authz", "ledger", "simulators", "benchmarks", "tests", "docs", ".ci")

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_FILE = re.compile(rf"`((?:{'|'.join(map(re.escape, ROOMS))})/[\w./-]*)`")
_BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_ASKED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=\"?((?:https?:)?//[^\s\">]+)", re.IGNORECASE)


def broken_links(page: Path) -> Iterator[str]:
    """Go through a page's links to files that aren't there, and to headings that aren't in them."""
    for target, anchor in _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        file = page.parent / target if target else page
        if not file.exists():
            yield f"{page.name}: {target} isn't there"
        elif anchor and anchor not in headings(file):
            yield f"{page.name}: {target} has no heading #{anchor}"


def headings(page: Path) -> set[str]:
    """Find what a page's headings are linked by."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return {slugify(heading.replace("`", ""), "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def missing_files(page: Path) -> Iterator[str]:
    """Go through the project's files that a page names and that aren't there."""
    for name in _FILE.findall(page.read_text(encoding="utf-8")):
        if not (HOME / name).exists():
            yield f"{page.name}: there is no file {name}"


def asked_elsewhere(site: Path) -> Iterator[str]:
    """Go through what the site's pages would load from other hosts."""
    for page in sorted(site.rglob("*.html")):
        for address in _ASKED.findall(page.read_text(encoding="utf-8")):
            yield f"{page.relative_to(site)}: asks for {address}"


def blocks_that_are_none(site: Path) -> Iterator[str]:
    """Go through the pages on which a fence isn't understood, and stands there as text."""
    for page in sorted(site.rglob("*.html")):
        if "<p>```" in page.read_text(encoding="utf-8"):
            yield f"{page.relative_to(site)}: a block's first line isn't understood: write it as ```sh title=\"…\""


def main() -> int:
    """Print what is wrong, a line each; exit 1 if anything is."""
    logging.basicConfig(level=logging.WARNING, format="mkdocs: %(message)s")
    pages = [README, *sorted((HOME / "docs").glob("*.md"))]
    found = [*broken_links(README), *(line for page in pages for line in missing_files(page))]
    with tempfile.TemporaryDirectory() as temporary:
        site = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        try:
            build(load_config(str(HOME / "mkdocs.yml"), site_dir=str(site), strict=True))
        except Abort as warnings:
            found.append(f"mkdocs: {warnings.message}")
        found += [*asked_elsewhere(site), *blocks_that_are_none(site)]
    for line in found:
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
