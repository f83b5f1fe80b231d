"""Who is calling: bearer tokens, what they open, and whose things a caller may see.

A token is an access's id and a keyed hash of it: a forged one is told without asking the ledger, and the same one can
be made again for the e-mail that brings it. The journal has only its SHA-256. What it opens is read at every call, so
that one that was revoked opens nothing from then on, whichever engine is asked.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import sha256

from msgspec import Struct

from authz.decision.issuing.commands import GrantAccess, RevokeAccess
from authz.decision.issuing.states import (
    Access,
    Agent,
    AgentId,
    Client,
    ClientId,
    Role,
    access_passbook,
    agent_passbook,
    client_passbook,
)
from authz.issuing.bodies.fields import IDS
from authz.issuing.issuer import Issuer, NotThere
from authz.security.module import SecurityModule
from ledger.values import HolderId

CONFIGURED = "configured"
"""The id of the issuer's first access, whose token's SHA-256 stands in the configuration and in no record."""

_ID = re.compile(IDS)


class TokenUnknown(Exception):
    """The token opens nothing: it is unknown, or was revoked."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class Caller(Struct, frozen=True, gc=False):
    """Whose call it is: `subject` as in `Access`; `id` is the access's own."""

    role: Role
    subject: str
    id: str

    @property
    def by(self) -> str:
        """Who did it, for the record."""
        return f"{self.role} {self.id}"

    @property
    def name(self) -> str:
        """Whom idempotency keys are one's own to: an account's users share theirs, the issuer's people don't."""
        return f"{self.role} {self.subject or self.id}"


def token_of(security: SecurityModule, access_id: str) -> str:
    """Make the token of an access: always the same one."""
    return f"{access_id}.{urlsafe_b64encode(security.token(f'access {access_id}')).decode().rstrip('=')}"


def hash_of(token: str) -> str:
    """Hash a token as records and the configuration have it: SHA-256, in hexadecimal.

    >>> hash_of("x")[:8]
    '2d711642'
    """
    return sha256(token.encode()).hexdigest()


class Gate:
    """Tells whose a token is, and what is theirs. `configured` is the SHA-256 of the issuer's first token."""

    def __init__(self, issuer: Issuer, configured: str | None = None) -> None:
        self._issuer = issuer
        self._configured = configured

    async def who(self, token: str) -> Caller:
        """Tell whose token it is. Raises `TokenUnknown`, and `LedgerError` for one that may be good."""
        token_hash = hash_of(token)
        if self._configured is not None and hmac.compare_digest(token_hash, self._configured):
            return Caller(Role.ISSUER, "", CONFIGURED)
        access_id, _, _ = token.partition(".")
        if not self._is_ours(token, access_id):
            raise TokenUnknown
        access = await self._issuer.state(access_passbook(token_hash))
        if not isinstance(access, Access) or access.revoked:
            raise TokenUnknown
        return Caller(access.role, access.subject, access_id)

    def _is_ours(self, token: str, access_id: str) -> bool:
        if not _ID.fullmatch(access_id):
            return False
        return hmac.compare_digest(token.encode(), token_of(self._issuer.security, access_id).encode())

    async def may(self, caller: Caller, *, client: ClientId | None = None, holder: HolderId | None = None) -> bool:
        """Tell whether what belongs to this client and holder is a caller's to see: each that is named must be.

        What a role may do with it is for the routes to say. Raises `LedgerError`.
        """
        return (client is None or await self._is_of_client(caller, client)) and (
            holder is None or caller.role is not Role.HOLDER or caller.subject == holder
        )

    async def _is_of_client(self, caller: Caller, client: ClientId) -> bool:
        match caller.role:
            case Role.EMPLOYER:
                return caller.subject == client
            case Role.AGENT:
                account = await self._issuer.state(client_passbook(client))
                return isinstance(account, Client) and AgentId(caller.subject) in account.agents
            case _:
                return True

    async def grant(self, access_id: str, access: Access, key: str, by: str) -> str:
        """Have a token of that id open what `access` says, and return the token. Raises `NotThere` and as `Issuer.do`.

        What it is to open must be there.
        """
        if not await self._is_there(access):
            raise NotThere
        token = token_of(self._issuer.security, access_id)
        await self._issuer.do(GrantAccess(hash_of(token), access), key, by)
        return token

    async def revoke(self, access_id: str, key: str, by: str) -> None:
        """Have an access open nothing from now on. Raises `NotThere` and as `Issuer.do`."""
        token_hash = hash_of(token_of(self._issuer.security, access_id))
        if await self._issuer.state(access_passbook(token_hash)) is None:
            raise NotThere
        await self._issuer.do(RevokeAccess(token_hash), key, by)

    async def _is_there(self, access: Access) -> bool:
        match access.role:
            case Role.EMPLOYER:
                return isinstance(await self._issuer.state(client_passbook(ClientId(access.subject))), Client)
            case Role.AGENT:
                return isinstance(await self._issuer.state(agent_passbook(AgentId(access.subject))), Agent)
            case Role.HOLDER:
                return await self._issuer.position(HolderId(access.subject)) is not None
            case _:
                return access.subject == ""
