"""docs/configuration.md is what the structs say."""

from pathlib import Path

from msgspec import structs

from authz.config.faults import tables
from authz.config.reference import page

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def test_the_page_is_as_it_would_be_made_now() -> None:
    """If not: `python -m authz.config.reference docs/configuration.md`."""
    assert page(PAGE) == PAGE


def test_every_key_has_its_row() -> None:
    for table in tables():
        section = PAGE.partition(f"[{table.name}]`\n" if not table.several else f"[[{table.name}]]`\n")[2].partition(
            "\n## "
        )[0]
        for field in structs.fields(table.kind):
            assert f"| `{field.name}` |" in section
