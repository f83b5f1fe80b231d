"""A world for each test, and an engine in it with two holders."""

from collections.abc import AsyncIterator

import pytest

from tests.engine.world import House, World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.audit()
    await world.close()


@pytest.fixture
async def house(world: World) -> House:
    house = await world.open()
    await house.furnish()
    return house


@pytest.fixture
async def alice(house: House) -> str:
    """The number of a card with 100.00 on it."""
    return await house.enrol(1)


@pytest.fixture
async def bruno(house: House) -> str:
    """The number of another holder's card."""
    return await house.enrol(2)
