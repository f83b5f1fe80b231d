"""An authorizer that issues, seen from outside: its API over HTTP, its payments over TCP, the files that it makes.

The embosser and the PIN printer are here too: their age keys open what was made for them, and nobody else's do.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import msgspec
import pyrage
from msgspec import Struct, structs
from pyrage import x25519

from authz.issuing.access import hash_of
from simulators.terminal.card import Card
from simulators.terminal.messages import Entry
from tests.acceptance.authorizer import TUESDAY, Authorizer, eventually, rows
from tests.acceptance.counter import Line, terminal
from tests.acceptance.shop import configuration, said
from tests.conftest import Database
from tests.issuing.api.office import ISSUER_TOKEN, Office, lines, offer, person
from tests.issuing.outbox.mailroom import MailServer
from tests.programs import Program, run

PACES = "requests_a_second = 100000\norders_a_minute = 100000"
CSV = "text/csv"
HEADER = "matricule;nom;prénom;e-mail;quantité;valeur faciale"

Said = tuple[str | None, str | None]
"""DE 39 and DE 44."""


class Employee(Struct, frozen=True):
    """A beneficiary with a card: whose, which, and how it lies in the hand."""

    client: str
    holder: str
    card: str
    hand: Card
    email: str

    @property
    def path(self) -> str:
        """Where the API has them."""
        return f"/v1/holders/{self.holder}"

    @property
    def card_path(self) -> str:
        """Where the API has their card."""
        return f"{self.path}/cards/{self.card}"


class IssuingDesk:
    """One authorizer on one database, with a production folder, and a mail server if there is one."""

    authorizer: Authorizer
    line: Line
    office: Office
    at: str

    def __init__(self, folder: Path, database: Database, mail_port: int | None = None) -> None:
        self.database = database
        self._folder = folder
        self._embosser, self._printer = x25519.Identity.generate(), x25519.Identity.generate()
        self._config = folder / "issuing.toml"
        self._config.write_text("\n".join([configuration(), *self._tables(mail_port)]))
        self._runs = 0

    def _tables(self, mail_port: int | None) -> Sequence[str]:
        api = ("[api]", f'issuer_token_sha256 = "{hash_of(ISSUER_TOKEN)}"', PACES)
        recipients = f'cards_recipient = "{self._embosser.to_public()}"\npins_recipient = "{self._printer.to_public()}"'
        production = ("[production]", 'folder = "production"', recipients)
        mail = ("[mail]", 'host = "127.0.0.1"', f"port = {mail_port}", 'tls = "none"', 'sender = "cards@example.org"')
        return (*api, *production, *(() if mail_port is None else (*mail, 'link = "https://cards.example.org/"')))

    def __enter__(self) -> "IssuingDesk":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def open(self, at: str = TUESDAY) -> "IssuingDesk":
        """Start the authorizer at an instant, or again at a later one, with the same database."""
        self._close()
        self._runs += 1
        self.at = at
        options = ("--database", self.database.url, "--config", str(self._config), "--clock", at)
        self.authorizer = Authorizer(self._folder, *options).ready()
        self.line = Line(self.authorizer.port)
        http = httpx.Client(base_url=f"http://127.0.0.1:{self.authorizer.http_port}", timeout=60)
        self.office = Office(http, ISSUER_TOKEN)
        return self

    def _close(self) -> None:
        if self._runs:
            self.line.close()
            self.office.http.close()
            self.authorizer.kill()

    # Selling

    def accepted(self, client: str | None = None, **fields: Any) -> str:
        """Make an offer and have it accepted; give the account."""
        made = self.office.made("/v1/offers", offer(until="2027-12-31", **fields))
        return str(self.office.made(f"/v1/offers/{made['id']}/acceptance", {"client": client})["id"])

    def drafted(self, client: str, body: Any, product: str = "90", month: str = "2026-05") -> Any:
        """Draft an order from lines in JSON, or from a CSV file."""
        parameters = {"product": product, "month": month}
        sent = {"content": body, "headers": {"Content-Type": CSV}} if isinstance(body, bytes) else {"json": body}
        reply = self.office.ask("POST", f"/v1/clients/{client}/orders", params=parameters, **sent)
        assert reply.status_code == 201, reply.text
        return reply.json()

    def confirmed(self, order: Any) -> Any:
        return self.office.made(f"{path_of(order)}/confirmation", {"revision": order["revision"]})

    def paid(self, order: Any, reference: str = "VIR 2026-0001") -> Any:
        """Enter the transfer of a confirmed order, and wait until all of it is carried out."""
        self.office.made(f"{path_of(order)}/payment", {"reference": reference, "amount": order["total"]})

        def done() -> Any:
            found = self.office.get(path_of(order)).json()["order"]
            return found if found["status"] == "done" else None

        return eventually(done)

    def ordered(self, client: str, body: Any, product: str = "90", month: str = "2026-05") -> Any:
        """Draft, confirm and pay an order; it is done."""
        return self.paid(self.confirmed(self.drafted(client, body, product, month)))

    def lines_of(self, order: Any) -> Sequence[Any]:
        found, after = list[Any](), "0"
        while after is not None:
            reply = self.office.get(f"{path_of(order)}/lines", after=after)
            assert reply.status_code == 200, reply.text
            page = reply.json()
            found, after = found + page["items"], page["next"]
        return found

    # Making cards

    def run(self) -> tuple[int, Mapping[str, Any]]:
        """Make the cards that are waiting: the run's number, and the embosser's lines by card."""
        number = self.office.made("/v1/runs")["number"]
        return number, self._opened(self._embosser, f"/v1/runs/{number}/cards")

    def pins(self, number: int) -> Mapping[str, str]:
        """Make the PIN letters of a run that was sent: the PIN of each card."""
        self.office.made(f"/v1/runs/{number}/pins")
        letters = self._opened(self._printer, f"/v1/runs/{number}/pins")
        self.office.made(f"/v1/runs/{number}/pins-sending")
        return {card: letter["pin"] for card, letter in letters.items()}

    def _opened(self, identity: x25519.Identity, path: str) -> Mapping[str, Any]:
        reply = self.office.get(path)
        assert reply.status_code == 200, reply.text
        plain = pyrage.decrypt(reply.content, [identity])
        return {one["card"]: one for one in map(msgspec.json.decode, plain.splitlines())}

    def employees(self, order: Any) -> Sequence[Employee]:
        """Have the cards of an order's beneficiaries made: in hand, still inactive, and without their PINs."""
        _, made = self.run()
        return [self.employee(order["client"], line, made) for line in self.lines_of(order)]

    def employee(self, client: str, line: Any, made: Mapping[str, Any]) -> Employee:
        """Put the newest card of an order's beneficiary into their hand."""
        card = self.newest_card(line["holder"])
        return Employee(client, line["holder"], card, in_hand(made[card]), line["email"])

    def newest_card(self, holder: str) -> str:
        return str(self.office.get(f"/v1/holders/{holder}").json()["cards"][-1]["card"])

    def hired(
        self, client: str | None = None, number: int = 1, product: str = "90", **amounts: int
    ) -> Sequence[Employee]:
        """Order vouchers for new people, and activate their cards. They pay contactless: they have no PIN yet."""
        client = client or self.accepted()
        order = self.ordered(client, lines(*(person() for _ in range(number)), **amounts), product)
        found = self.employees(order)
        for one in found:
            self.activate(one)
        return found

    def activate(self, one: Employee) -> None:
        assert self.office.post(f"{one.card_path}/activation").status_code == 200

    def letter(self, one: Employee) -> Employee:
        """Have the PIN of a card in hand sent, at its employer's own request: no card has to arrive first."""
        self.office.post("/v1/runs")  # what waits isn't sent along
        self.office.made(f"/v1/clients/{one.client}/requests", {"holder": one.holder, "card": one.card, "kind": "pin"})
        number, _ = self.run()
        return with_pin(one, self.sent(number)[one.card])

    def sent(self, number: int) -> Mapping[str, str]:
        """Send a run's cards, and its PINs with them where there are none."""
        self.office.made(f"/v1/runs/{number}/sending")
        return self.pins(number)

    # Looking

    def view(self, one: Employee) -> Any:
        return self.office.get(one.path).json()

    def available(self, one: Employee, product: str = "90") -> int:
        """What a holder can spend of a product today, in cents."""
        [cents] = [balance["available"] for balance in self.view(one)["balances"] if balance["product"] == product]
        return int(cents)

    def pay(
        self,
        one: Employee,
        cents: int,
        *,
        at: str | None = None,
        entry: Entry | None = None,
        terminal_name: str = "PAR00001",
        merchant: str | None = None,
        product: str = "00",
    ) -> Said:
        """Pay by card: with its PIN where it is known, else contactless. `merchant`: another than the terminal's."""
        how = entry or (Entry.CONTACTLESS if one.hand.pin is None else Entry.CHIP)
        request = terminal(terminal_name, at or self.at).purchase(one.hand, cents, entry=how, product=product)
        if merchant is not None:
            request = structs.replace(request, merchant=f"{merchant:15}")
        return said(self.line.ask(request))

    def rows(self, query: str, *arguments: object) -> Sequence[Any]:
        return rows(self.database.url, query, *arguments)

    def balance(self, pattern: str) -> int:
        """Sum up accounts whose names are like this, in cents."""
        [[cents]] = self.rows(
            "SELECT coalesce(sum(balance), 0)::bigint FROM ledger.balance WHERE account LIKE $1", pattern
        )
        return int(cents)

    def check_books(self) -> None:
        """The trial balance is 0."""
        assert self.balance("%") == 0

    def check_sound(self) -> None:
        """The trial balance is 0, the chain holds, and every decision comes out again as it is recorded."""
        self.check_books()
        self.command("ledger", "verify")
        self.command("authz", "replay")

    def command(self, program: Program, *arguments: str) -> str:
        """Run one of finance's commands over the ledger; give what it printed."""
        done = run(program, *arguments, "--database", self.database.finance_url)
        assert done.returncode == 0, done.stderr
        return done.stdout


def path_of(order: Any) -> str:
    """Where the API has an order."""
    return f"/v1/clients/{order['client']}/orders/{order['id']}"


def in_hand(made: Any, pin: str | None = None) -> Card:
    """A card as the embosser made it."""
    return Card(pan=made["pan"], expiry=made["expiry"], cvv2=made["cvv2"], pin=pin, generation=2)


def with_pin(one: Employee, pin: str) -> Employee:
    """The same, who has read the letter with the PIN."""
    return structs.replace(one, hand=structs.replace(one.hand, pin=pin))


def as_file(*people: Mapping[str, str], quantity: int = 20, face: str = "9,00") -> bytes:
    """A list of beneficiaries as a spreadsheet writes it."""
    rows = (
        f"M{number};{one['last_name']};{one['first_name']};{one['email']};{quantity};{face}"
        for number, one in enumerate(people, 1)
    )
    return "\r\n".join((HEADER, *rows, "")).encode()


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Run a mail server beside the tests."""
    loop, server = asyncio.new_event_loop(), MailServer()
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
