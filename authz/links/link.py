"""One acquirer's link: what is done with a message, in docs/interface.md's order, up to its reply's bytes."""

from msgspec import Struct

from authz.clock import Now
from authz.decision.outcomes import Reason
from authz.engine.engine import Engine
from authz.engine.requests import NoAnswer
from authz.links.translation import refusal_of, reply_of, request_of
from authz.metrics import Metrics
from authz.security.module import SecurityModule
from authz.wire.codec import WHOLE, Codec, Malformed
from authz.wire.message import Message
from authz.wire.rules import check_mandatory, first_mti

DEADLINE_S = 5
_PAYMENTS = frozenset({"0100", "0200"})
_NETWORK = "0800"


class Terms(Struct, frozen=True):
    """What was agreed with an acquirer: its id (DE 32), and what its messages must have."""

    acquirer: str
    sign_on_required: bool = False
    mac_required: bool = False


class Session(Struct):
    """What a connection has come to: whether its acquirer has signed on."""

    signed_on: bool = False


class Link:
    """Answers one acquirer's messages. It keeps no connection: `Session` is the caller's."""

    def __init__(
        self, terms: Terms, codec: Codec, engine: Engine, security: SecurityModule, now: Now, metrics: Metrics
    ) -> None:
        self.terms = terms
        self.codec = codec
        self.metrics = metrics
        self._engine = engine
        self._security = security
        self._now = now

    async def answer(self, frame: bytes, message: Message, session: Session, deadline: float) -> bytes | None:
        """Answer a message whose fields are well-formed. None: it was settled too late to be answered."""
        try:
            check_mandatory(message)
            if not await self._is_authentic(frame, message):
                return await self.refuse(message, Reason.MAC_WRONG)
            reply = await self._reply(message, session, deadline)
        except Malformed as error:
            return await self.reject(error)
        return None if reply is None else await self._encode(reply, signed=message.mac is not None)

    async def reject(self, error: Malformed) -> bytes:
        """Answer what is ill-formed, and count which field it was."""
        self.metrics.malformed.labels(self.terms.acquirer, error.field).inc()
        return await self.refuse(error.partial, Reason.FORMAT)

    async def refuse(self, message: Message, reason: Reason) -> bytes:
        """Answer what can't be taken."""
        self.metrics.refused.labels(reason).inc()
        return await self._encode(refusal_of(message, reason), signed=message.mac is not None)

    async def _encode(self, reply: Message, *, signed: bool) -> bytes:
        """Write a reply; it bears a MAC if and only if its request did."""
        if not signed:
            return self.codec.encode(reply)
        frame = self.codec.encode_unsigned(reply)
        mac = await self._security.make_mac(self.terms.acquirer, self.codec.covered(frame))
        return self.codec.signed(frame, mac)

    async def _is_authentic(self, frame: bytes, message: Message) -> bool:
        if message.mac is None:
            return not self.terms.mac_required
        return await self._security.verify_mac(self.terms.acquirer, self.codec.covered(frame), message.mac)

    async def _reply(self, message: Message, session: Session, deadline: float) -> Message | None:
        kind = first_mti(message.mti)
        if kind == _NETWORK:
            return self._manage(message, session)
        if kind not in _PAYMENTS:
            raise Malformed(WHOLE, "a request type that is served expected", message)
        request = request_of(message, self.terms.acquirer, self._now(), deadline)
        ours = message.acquirer == self.terms.acquirer
        if ours and self.terms.sign_on_required and not session.signed_on:
            return refusal_of(message, Reason.NOT_SIGNED_ON)
        answer = await self._engine.pay(request)
        return None if isinstance(answer, NoAnswer) else reply_of(message, answer)

    def _manage(self, message: Message, session: Session) -> Message:
        """Sign on (001), sign off (002), or echo (301)."""
        match message.network_code:
            case "001":
                session.signed_on = True
            case "002":
                session.signed_on = False
            case "301":
                pass
            case _:
                return refusal_of(message, Reason.TRANSACTION)
        return refusal_of(message, Reason.APPROVED)
