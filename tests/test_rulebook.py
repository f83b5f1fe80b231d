"""The programmes that an authorizer has."""

import pytest
from msgspec.structs import replace

from authz.engine.engine import Engine
from authz.issuing.issuer import Issuer, NotThere
from authz.programmes import SHIPPED, shipped
from authz.programmes.rulebook import Rulebook
from tests.engine.world import World

APETIZ = shipped("apetiz")
OWN = replace(APETIZ, id="maison", zone="Europe/Brussels")


def test_those_that_ship_come_first_in_the_configurations_version() -> None:
    changed = replace(APETIZ, cap="law")
    assert Rulebook([OWN, changed]).all() == (changed, *(shipped(name) for name in SHIPPED[1:]), OWN)


def test_one_that_the_configuration_has_no_more_is_as_it_ships() -> None:
    rulebook = Rulebook([OWN, replace(APETIZ, cap="law")])
    rulebook.take([])
    assert rulebook.all() == tuple(map(shipped, SHIPPED))


async def test_issuing_goes_by_it_from_the_moment_it_changes() -> None:
    world = World()
    house = world.prepare()
    engine: Engine = house.engine
    issuer = Issuer(engine, house.store, house.cards, world.security, None, world.clock)  # type: ignore[arg-type]
    with pytest.raises(NotThere):
        issuer.programme("maison")
    engine.rulebook.take([OWN])
    assert issuer.programme("maison") == OWN
    assert issuer.product("90") == (APETIZ, APETIZ.product("90"))
