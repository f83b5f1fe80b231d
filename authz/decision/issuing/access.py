"""Access: what a token opens, by its hash, until it is taken back."""

from msgspec.structs import replace

from authz.decision.evidence import Facts
from authz.decision.issuing.commands import GrantAccess
from authz.decision.issuing.states import Access, Role
from authz.decision.refused import AccessGranted, AccessRevoked, AccessUnknown, SubjectMisplaced

SOMEBODYS = frozenset({Role.EMPLOYER, Role.AGENT, Role.HOLDER})
"""Roles in which a token opens what is one subject's."""


def grant(command: GrantAccess, facts: Facts) -> Access:
    """Have a token open something. One that was taken back stays so: somebody else may have it."""
    if facts.own is not None:
        raise AccessGranted
    access = command.access
    if bool(access.subject) is not (access.role in SOMEBODYS):
        raise SubjectMisplaced
    return replace(access, revoked=False)


def revoke(facts: Facts) -> Access:
    """Have a token open nothing, for good."""
    access = facts.own
    if not isinstance(access, Access):
        raise AccessUnknown
    if access.revoked:
        raise AccessRevoked
    return replace(access, revoked=True)
