"""Attacks on what was written, tried in a role, and what the server answers to them."""

from collections.abc import AsyncIterator, Iterable

import asyncpg

DENIED = "42501"
"""The role has no right."""
GUARDED = "LF002"
"""A guard of the ledger's own refused."""
NOTHING_GRANTED = "01007"
"""A warning: the role has nothing to grant, so nothing was."""


async def attacked(
    superuser: asyncpg.Connection, role: str, attacks: Iterable[str]
) -> AsyncIterator[tuple[str, set[str]]]:
    """Try each attack in a role that says it migrates; give it with every SQLSTATE that it was answered with.

    `ledger.ddl` is what sanctions DDL for a superuser: set by anyone else, it gains nothing.
    """
    answers: set[str] = set()
    superuser.add_log_listener(lambda _, message: answers.add(message.sqlstate))
    for attack in attacks:
        answers.clear()
        await superuser.execute(f"SET ROLE {role}; SET ledger.ddl = 'migration'")
        try:
            await superuser.execute(attack)
        except asyncpg.PostgresError as refused:
            answers.add(refused.sqlstate)
        await superuser.execute("RESET ROLE; RESET ledger.ddl")
        yield attack, answers
