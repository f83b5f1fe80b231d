"""What `.ci/docs_are_sound.py` finds."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.pages import HOME


@pytest.fixture(scope="module")
def checking() -> ModuleType:
    spec = spec_from_file_location("docs_are_sound", HOME / ".ci" / "docs_are_sound.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(folder: Path, text: str) -> Path:
    file = folder / "page.md"
    file.write_text(text, encoding="utf-8")
    return file


def test_links_that_hold_are_no_finding(checking: ModuleType, tmp_path: Path) -> None:
    text = "# Réunion's day\n[a](page.md) [b](#reunions-day) [c](https://example.org/x)\n```\n[d](gone.md)\n```\n"
    assert list(checking.broken_links(page(tmp_path, text))) == []


def test_a_link_to_nothing_is_found(checking: ModuleType, tmp_path: Path) -> None:
    text = "# One\n[a](gone.md)\n[b](page.md#two)\n[c](#one)\n"
    assert list(checking.broken_links(page(tmp_path, text))) == [
        "page.md: gone.md isn't there",
        "page.md: page.md has no heading #two",
    ]


def test_a_file_that_is_named_and_gone_is_found(checking: ModuleType, tmp_path: Path) -> None:
    text = "`authz/demo_data/demo.toml`, `authz/gone.toml`, `tests/`, `authz serve`\n"
    assert list(checking.missing_files(page(tmp_path, text))) == ["page.md: there is no file authz/gone.toml"]


@pytest.mark.parametrize(
    "asking",
    [
        '<script src="https://unpkg.com/mermaid.js"></script>',
        '<link rel="stylesheet" href="//fonts.googleapis.com/css">',
        "<img src=https://example.org/a.png>",
    ],
)
def test_a_page_that_asks_another_host_is_found(checking: ModuleType, tmp_path: Path, asking: str) -> None:
    (tmp_path / "a.html").write_text(f'<a href="https://example.org">there</a><script src="own.js"></script>{asking}')
    assert len(list(checking.asked_elsewhere(tmp_path))) == 1
