"""What `simulate load` is told, and what is made of it before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from msgspec import Struct

from authz.wire.codec import Codec
from simulators import command_line
from simulators.command_line import Port, WrongUse, instant
from simulators.load.bounds import Bound, milliseconds
from simulators.load.mix import Kind, Mix, Popularity
from simulators.load.result import Asked
from simulators.load.schedule import Pace, Schedule
from simulators.load.traffic import Basket, CardOf, Shop, Traffic
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import AMOUNT_CENTS_MAX, Entry
from simulators.terminal.parameters import Parameters
from simulators.world.crowd import HOLDERS_MAX, SEED_MAX, card_of

RATE_MAX = 20_000
SECONDS_MAX = 86_400
CONNECTIONS_MAX = 256
ZIPF_MAX = 10

_Cents = Annotated[int, Parameter(validator=Number(gte=1, lte=AMOUNT_CENTS_MAX))]
_Length = str | None
_Most = int | None


def _bound(words: str, name: str | None = None) -> Parameter:
    return Parameter(name=name, group="Bounds", help=words)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """What `simulate load` is told."""

    host: Annotated[str, Parameter(help="Where the host is.")] = "127.0.0.1"
    port: Annotated[Port, Parameter(help="The port in the authorizer's ready line.")] = 8583
    rate: Annotated[
        float,
        Parameter(
            validator=Number(gt=0, lte=RATE_MAX), help="Requests a second, at most 20,000; of a lunch, at its peak."
        ),
    ] = 100.0
    duration: Annotated[str, Parameter(help="How long is measured, such as 30s or 10m.")] = "30s"
    warm_up: Annotated[str, Parameter(help="How long before that, at the same rate, isn't.")] = "3s"
    pace: Annotated[
        Literal["poisson", "uniform", "lunch"],
        Parameter(help="How arrivals are spread: independent, as customers are; evenly; or as a lunch hour."),
    ] = "poisson"
    connections: Annotated[
        int, Parameter(validator=Number(gte=1, lte=CONNECTIONS_MAX), help="Over how many connections.")
    ] = 4
    mix: Annotated[
        str,
        Parameter(
            help="What is sent, by weight: purchase=80,authorization=10,completion=5,inquiry=3,reversal=1,refund=1."
        ),
    ] = "purchase"
    entries: Annotated[
        str, Parameter(help="How cards are read, by weight: chip=60,contactless=40; also stripe, online, manual.")
    ] = "chip"
    cents_min: Annotated[_Cents, Parameter(help="The smallest amount, in cents.")] = 1
    cents_max: Annotated[_Cents, Parameter(help="The highest, in cents.")] = 20
    product: Annotated[str, Parameter(help="90 to 95; 00 is the card's only product.")] = "00"
    world: Annotated[
        int | None,
        Parameter(
            validator=Number(gte=0, lte=SEED_MAX),
            help="Pay with cards of the world of this seed (simulate world) instead of the parameters'.",
        ),
    ] = None
    holders: Annotated[
        int, Parameter(validator=Number(gte=1, lte=HOLDERS_MAX), help="How many of that world's holders pay.")
    ] = 1_000
    zipf: Annotated[
        float,
        Parameter(
            validator=Number(gte=0, lte=ZIPF_MAX),
            help="How unevenly cards pay: the k-th by k to the power of minus this; 0 is all alike.",
        ),
    ] = 0.0
    seed: Annotated[int, Parameter(help="Makes a run repeatable: the same arrivals, the same requests.")] = 1
    terminal: Annotated[str | None, Parameter(help="The terminal that pays; if not given, the first known.")] = None
    config: Annotated[
        Path | None, Parameter(help="A file like the demo's: acquirer, dialect, zone PIN key, terminals, cards.")
    ] = None
    clock: Annotated[
        str | None,
        Parameter(help="The terminal's time as measuring begins, such as 2026-05-12T12:30:00+02:00; else now."),
    ] = None
    sign_on: Annotated[bool, Parameter(negative="", help="Sign on over every connection first (0800/001).")] = False
    metrics: Annotated[
        str | None,
        Parameter(help="Where the host's Prometheus metrics are: read before and after, for the time in its stages."),
    ] = None
    out: Annotated[Path | None, Parameter(help="A file for the result, which --compare reads.")] = None
    report: Annotated[Path | None, Parameter(help="A file for a page with plots, such as load.html.")] = None
    p50: Annotated[_Length, _bound("How long the median may be, such as 5ms.")] = None
    p90: Annotated[_Length, _bound("The 90th percentile.")] = None
    p99: Annotated[_Length, _bound("The 99th.")] = None
    p99_9: Annotated[_Length, _bound("The 99.9th.", "--p99.9")] = None
    longest: Annotated[_Length, _bound("The longest of all.", "--max")] = None
    errors: Annotated[_Most, _bound("How many may be unanswered, unsendable, or answered 30, 91, 94 or 96.")] = None
    unanswered: Annotated[_Most, _bound("How many may be unanswered.")] = None
    compare: Annotated[
        tuple[Path, Path] | None, Parameter(negative="", help="Load nothing: set two results beside each other.")
    ] = None
    json: Annotated[bool, Parameter(negative="", help="Print the result, or the comparison, as JSON.")] = False


class Order(Struct, frozen=True):
    """A run that options ask for, read and found possible."""

    host: str
    port: int
    codec: Codec
    plan: Schedule
    traffic: Traffic
    asked: Asked
    bounds: Sequence[Bound]


def read(options: LoadOptions) -> Order:
    """Make an order of options.

    Raises `WrongUse`, `MixUnfit`, `DurationUnfit`, and of what it reads: `ParametersInvalid`, `DialectUnreadable`,
    `NoTerminal`, `KeyUnfit`, `CardInvalid`.
    """
    if options.cents_max < options.cents_min:
        raise WrongUse("--cents-max: not below --cents-min")
    known = parameters.load(options.config) if options.config else parameters.demo()
    begun = instant(options.clock)
    cards, cards_of = _cards(known, begun.year, options)
    mix, entries = Mix.read(options.mix, Kind, "--mix"), Mix.read(options.entries, Entry, "--entries")
    plan = Schedule(
        rate=options.rate,
        seconds=_seconds(options.duration, "--duration", 0.1),
        pace=Pace(options.pace),
        seed=options.seed,
        warm_up_seconds=_seconds(options.warm_up, "--warm-up", 0.0),
    )
    asked = Asked(
        rate=plan.rate,
        seconds=plan.seconds,
        warm_up_seconds=plan.warm_up_seconds,
        pace=str(plan.pace),
        connections=options.connections,
        mix=str(mix),
        entries=str(entries),
        cards=str(cards) if options.world is None else f"{cards}, of world {options.world}",
        seed=plan.seed,
    )
    codec, shop = Codec(command_line.dialect(known.dialect)), Shop.of(known, options.terminal)
    basket = Basket(options.cents_min, options.cents_max, options.product)
    traffic = Traffic(codec, shop, cards_of, cards, mix, entries, basket=basket, seed=plan.seed, begun=begun)
    return Order(options.host, options.port, codec, plan, traffic, asked, _bounds(options))


def _cards(known: Parameters, year: int, options: LoadOptions) -> tuple[Popularity, CardOf]:
    """How often which card pays, and what gives each."""
    world = options.world
    if world is not None:
        return Popularity(options.holders, options.zipf), lambda number: card_of(world, number)
    cards = [
        Card(pan=one.pan, expiry=one.expiry_at(year), pin=one.pin, generation=one.generation) for one in known.card
    ]
    if not cards:
        raise WrongUse("--config: these parameters have no card; give them some, or take a --world's")
    return Popularity(len(cards), options.zipf), cards.__getitem__


def _bounds(options: LoadOptions) -> list[Bound]:
    lengths = {
        "p50": options.p50,
        "p90": options.p90,
        "p99": options.p99,
        "p99.9": options.p99_9,
        "max": options.longest,
    }
    counts = {"errors": options.errors, "unanswered": options.unanswered}
    if any(count is not None and count < 0 for count in counts.values()):
        raise WrongUse("--errors and --unanswered: 0 or more")
    bounds = [Bound(name, milliseconds(text, f"--{name}"), "ms") for name, text in lengths.items() if text is not None]
    return bounds + [Bound(name, most) for name, most in counts.items() if most is not None]


def _seconds(text: str, option: str, least: float) -> float:
    seconds = milliseconds(text, option) / 1_000
    if not least <= seconds <= SECONDS_MAX:
        raise WrongUse(f"{option}: {least:g}s to 24h")
    return seconds
