"""An auditor needs nothing of ours: the query in docs/ledger.md, "The chain", proves it in the database alone."""

import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.ledger.story import Tampering, story, write

PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"


@pytest.fixture
def query() -> str:
    [found] = re.findall(r"## The chain\n.*?```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


async def test_of_a_sound_ledger_it_names_no_record(database: Any, query: str) -> None:
    await write(database.url, story())
    connection = await asyncpg.connect(database.finance_url)
    try:
        assert await connection.fetch(query) == []
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE ledger.transfer SET amount = amount + 1 WHERE seq = 7 AND line = 1", [7]),
        ("UPDATE ledger.journal SET reason = 'PIN_WRONG' WHERE seq = 11", [11]),
        ("UPDATE ledger.journal SET hash = sha256('x') WHERE seq = 5", [5, 6]),
        ("DELETE FROM ledger.journal WHERE seq = 6", [7]),
    ],
)
async def test_it_names_what_was_changed(
    database: Any, superuser: asyncpg.Connection, query: str, change: str, named: list[int]
) -> None:
    await write(database.url, story())
    await Tampering(superuser)(change)
    assert [row["seq"] for row in await superuser.fetch(query)] == named
