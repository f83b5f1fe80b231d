"""What a measurement was made on. A figure without it means nothing."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from msgspec import Struct


class Machine(Struct, frozen=True):
    """The machine, its programs, and when.

    `disk` is the file system of the data folder. `load` is how many processes ran or waited to in the minute before:
    where it isn't far below `cores`, others were measured too.
    """

    at: str
    cores: int
    processor: str
    kernel: str
    python: str
    postgresql: str
    disk: str
    load: float


async def describe(superuser_url: str, data: Path) -> Machine:
    """Describe this machine, and the PostgreSQL that runs on it."""
    connection = await asyncpg.connect(superuser_url)
    try:
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return Machine(
        at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        cores=len(os.sched_getaffinity(0)),
        processor=_processor(),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        postgresql=str(version),
        disk=_file_system(data),
        load=os.getloadavg()[0],
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder lies on: a disk's, or memory's, which would measure no disk."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(place, kind) for place, kind in mounts if folder.resolve().is_relative_to(place)]
    return max(above, key=lambda mount: len(mount[0]))[1]
