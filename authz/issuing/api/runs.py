"""/v1/runs: production runs, step by step, and their encrypted files."""

from collections.abc import Sequence
from typing import Annotated

from litestar import Response, get, post
from litestar.params import PathParameter, QueryParameter

from authz.decision.issuing.states import Run
from authz.decision.refused import Refused
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.pages import Limit, page
from authz.issuing.api.problems import READ, WRITE
from authz.issuing.bodies.pages import PAGE, Page
from authz.issuing.bodies.runs import RunView
from authz.issuing.desks import Issuing
from authz.issuing.issuer import NotThere
from authz.issuing.production import Production

AGE = "application/octet-stream"
RUNS_MAX = 10**9

NumberInPath = Annotated[int, PathParameter(ge=1, le=RUNS_MAX)]


class NoneWaiting(Refused):
    """No card waits to be made."""


class NoProduction(NotThere):
    """No cards are made here: the configuration has no [production]."""


def _view(run: Run) -> RunView:
    return RunView(run.number, run.status, len(run.cards), len(run.reissued), run.card_file, run.pin_file, run.sent_at)


def _production(desks: Issuing) -> Production:
    if desks.production is None:
        raise NoProduction
    return desks.production


def _file(content: bytes) -> Response[bytes]:
    return Response(content, media_type=AGE)


@post("/runs", responses=WRITE)
async def start_run(desks: Desks, write: Writing) -> RunView:
    """Make a run of the cards that are waiting, and its card file."""
    run = await _production(desks).start(write.by, write.key)
    if run is None:
        raise NoneWaiting
    return _view(run)


@get("/runs", responses=READ)
async def list_runs(
    desks: Desks,
    after: Annotated[int, QueryParameter(name="after", ge=0, le=RUNS_MAX)] = 0,
    limit: Limit = PAGE,
) -> Page[RunView]:
    """List runs."""
    found: Sequence[Run] = await _production(desks).runs(after)
    return page(found, limit, _view, lambda one: str(one.number))


@get("/runs/{number:int}/cards", responses=READ, media_type=AGE)
async def read_cards(number: NumberInPath, desks: Desks) -> Response[bytes]:
    """Fetch the file for the embosser, which only the embosser can open."""
    return _file(await _production(desks).card_file(number))


@get("/runs/{number:int}/pins", responses=READ, media_type=AGE)
async def read_pins(number: NumberInPath, desks: Desks) -> Response[bytes]:
    """Fetch the file for the PIN printer, which only the printer can open."""
    return _file(await _production(desks).pin_file(number))


@post("/runs/{number:int}/sending", status_code=200, responses=WRITE)
async def send_run(number: NumberInPath, desks: Desks, write: Writing) -> RunView:
    """Note that the cards are on their way."""
    return _view(await _production(desks).send(number, write.by, write.key))


@post("/runs/{number:int}/pins", status_code=200, responses=WRITE)
async def make_pins(number: NumberInPath, desks: Desks, write: Writing) -> RunView:
    """Make the file of the PIN letters: 48 hours after the cards were sent, at the earliest."""
    return _view(await _production(desks).make_pins(number, write.by, write.key))


@post("/runs/{number:int}/pins-sending", status_code=200, responses=WRITE)
async def send_pins(number: NumberInPath, desks: Desks, write: Writing) -> RunView:
    """Note that the PIN letters are on their way."""
    return _view(await _production(desks).pins_sent(number, write.by, write.key))
