"""Which records call for which letters.

What isn't about a holder is written in every partition: the home partition's alone calls for letters.
"""

from collections.abc import Sequence

from authz.decision.calendar import local_day, zone
from authz.decision.commands import Purchase, StopCard
from authz.decision.issuing.commands import (
    AddContracts,
    AnswerRequest,
    AskRequest,
    ChangeClient,
    Fulfil,
    MoveRun,
    OpenClient,
    RegisterAgent,
    Remind,
)
from authz.decision.issuing.delivery import mailed
from authz.decision.issuing.states import (
    Agent,
    CardRequest,
    Client,
    ClientId,
    ContactId,
    Run,
    RunStatus,
    client_passbook,
)
from authz.decision.outcomes import Reply, State
from authz.decision.position import CardId, CardStatus, Position
from authz.decision.programme import Programme
from authz.engine.inputs import decode_inputs, decode_reply
from authz.engine.kinds import AUTHORIZATION, PURCHASE
from authz.issuing.access import token_of
from authz.issuing.issuer import HOME, Issuer
from authz.issuing.names import access_id
from authz.issuing.outbox.letters import (
    Added,
    Appointed,
    Asked,
    Expiring,
    Joined,
    Letter,
    Loaded,
    Low,
    Opened,
    Opposed,
    Refused,
    Sent,
)
from ledger.store import Event
from ledger.values import HolderId, Partition, Seq

_TOLD = (
    OpenClient,
    AddContracts,
    ChangeClient,
    RegisterAgent,
    Fulfil,
    Remind,
    MoveRun,
    StopCard,
    AskRequest,
    AnswerRequest,
)
KINDS = tuple(str(one.__struct_config__.tag) for one in _TOLD)
"""Kinds of records that may call for letters."""
PAYMENTS = PURCHASE, AUTHORIZATION
"""Kinds of records that do only where `LOW` stands in the reply."""
LOW = '"low":true'
"""What a reply has in it, as it is written, where a payment has left a balance low."""

CARDS_A_LOOK = 16
"""Cards whose holders are looked up together: what the loop is kept from payments for."""
CHANGES_A_LOOK = 64
"""Records of an account that are read together."""


class Occasions:
    """Finds the letters that some records of one partition call for. A client is read once, so it isn't kept for long.

    `link` is where people go. Every method raises what store and vault raise.
    """

    def __init__(self, issuer: Issuer, partition: Partition, link: str) -> None:
        self._issuer = issuer
        self._partition = partition
        self._link = link
        self._clients: dict[ClientId, Client | None] = {}

    async def letters(self, event: Event) -> Sequence[Letter]:
        """Tell which letters a record calls for: always the same ones, in the same order."""
        if event.holder is None or (":" in event.holder and self._partition != HOME):
            return ()
        command = decode_inputs(event.request).command
        match command:
            case OpenClient():
                return [Letter(command.user, self._access(Opened, command.name, command.client, command.user))]
            case AddContracts():
                client = await self._client(command.client)
                return [Letter(user, self._access(Added, client.name, client.id, user)) for user in client.users]
            case ChangeClient(users=users) if users is not None:
                return await self._joined(command.client, users, event)
            case RegisterAgent(agent=agent):
                return await self._appointed(agent, event)
            case Fulfil():
                return await self._loaded(command)
            case Purchase():
                return self._low(event.holder, decode_reply(event.reply))
            case Remind():
                return await self._expiring(command)
            case MoveRun(status=RunStatus.SENT):
                return await self._sent(await self._issuer.state(event.holder), event)
            case StopCard(because=because) if because != "replaced":
                return await self._opposed(command, event)
            case AskRequest(validated=False):
                client = await self._client(command.client)
                asked = Asked(command.kind, client.name, command.request)
                return [Letter(user, asked) for user in client.users]
            case AnswerRequest(validated=False):
                return await self._refused(await self._issuer.state(event.holder))
        return ()

    def _access(
        self, kind: type[Opened | Added | Joined | Appointed], company: str, subject: str, user: ContactId
    ) -> Opened | Added | Joined | Appointed:
        """Name an account, with the link that opens it: the token stands where no server's log has it."""
        token = token_of(self._issuer.security, access_id(ClientId(subject), user))
        return kind(company, subject, f"{self._link}#access={token}")

    async def _joined(self, account: ClientId, users: Sequence[ContactId], event: Event) -> Sequence[Letter]:
        before = await self._users_before(account, event.seq)
        client = await self._client(account)
        return [
            Letter(user, self._access(Joined, client.name, client.id, user)) for user in users if user not in before
        ]

    async def _users_before(self, client: ClientId, seq: Seq) -> Sequence[ContactId]:
        """Find who acted for an account before a record: the newest one below it that says so does."""
        passbook = client_passbook(client)
        while earlier := await self._issuer.store.events_about(HOME, passbook, seq, CHANGES_A_LOOK):
            for one in earlier:
                match decode_inputs(one.request).command:
                    case OpenClient(user=user):
                        return (user,)
                    case ChangeClient(users=users) if users is not None:
                        return users
            seq = earlier[-1].seq
        return ()

    async def _appointed(self, agent: Agent, event: Event) -> Sequence[Letter]:
        assert event.holder is not None, "it has a passbook"
        if await self._issuer.store.events_about(HOME, event.holder, event.seq, 1):
            return ()  # what is known of the agent was changed
        return [Letter(agent.contact, self._access(Appointed, agent.name, agent.id, agent.contact))]

    async def _loaded(self, command: Fulfil) -> Sequence[Letter]:
        client = await self._client(command.client)
        if not client.load_alerts:
            return ()
        loaded = Loaded(command.amount, self._product(command.product), client.name, command.valid_until)
        return [Letter(command.holder, loaded)]

    def _low(self, holder: HolderId, reply: Reply) -> Sequence[Letter]:
        """Tell what is left: of payments, those alone come here that have left little."""
        [balance] = reply.balances
        return [Letter(holder, Low(self._product(balance.product), balance.available))]

    async def _expiring(self, command: Remind) -> Sequence[Letter]:
        """Tell of what is still there: what was spent meanwhile needs no reminder."""
        position = await self._position(command.holder)
        return [
            Letter(command.holder, Expiring(lot.amount, self._product(lot.product), lot.valid_until))
            for lot in position.purse.lots
            if (lot.product, lot.name) == (command.product, command.lot)
        ]

    async def _sent(self, run: State | None, event: Event) -> Sequence[Letter]:
        assert isinstance(run, Run), "it was made before it is sent"
        letters = []
        for first in range(0, len(run.cards), CARDS_A_LOOK):
            cards = run.cards[first : first + CARDS_A_LOOK]
            shown = await self._issuer.cards.shown(cards)
            letters += [await self._on_its_way(shown[card].holder, card, event) for card in cards]
        return letters

    async def _on_its_way(self, holder: HolderId, card: CardId, event: Event) -> Letter:
        """Tell when a card comes: its day and its holidays are those of the place that it is sent to."""
        position = await self._position(holder)
        client = await self._known(ClientId(position.employer))
        territory = "" if client is None else client.territory
        day = local_day(event.at, self._programme(position, card).zone)
        return Letter(holder, Sent(*mailed(day, territory)))

    async def _opposed(self, command: StopCard, event: Event) -> Sequence[Letter]:
        position = await self._position(command.holder)
        local = event.at.astimezone(zone(self._programme(position, command.card).zone))
        return [Letter(command.holder, Opposed(local, CardStatus(command.because)))]

    async def _refused(self, request: State | None) -> Sequence[Letter]:
        assert isinstance(request, CardRequest), "it was asked before it is answered"
        client = await self._client(request.client)
        return [Letter(request.holder, Refused(request.kind, client.name))]

    def _product(self, code: str) -> str:
        """Name the product of a code, as people know it."""
        return self._issuer.product(code)[1].name

    async def _client(self, client: ClientId) -> Client:
        known = await self._known(client)
        assert known is not None, "records about an account come after it"
        return known

    async def _known(self, client: ClientId) -> Client | None:
        if client not in self._clients:
            state = await self._issuer.state(client_passbook(client))
            self._clients[client] = state if isinstance(state, Client) else None
        return self._clients[client]

    async def _position(self, holder: HolderId) -> Position:
        position = await self._issuer.position(holder)
        assert position is not None, "a record about a holder is in their passbook"
        return position

    def _programme(self, position: Position, card: CardId) -> Programme:
        mine = position.card(card)
        assert mine is not None, "a card stays with its holder"
        return self._issuer.programme(mine.programme)
