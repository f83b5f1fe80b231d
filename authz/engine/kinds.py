"""What a command is called in the journal, and in whose passbook it is written."""

from authz.decision.commands import (
    Administration,
    AdoptProgramme,
    Advice,
    Carry,
    ChangeKey,
    Command,
    CutOver,
    NoteSweep,
    NoteWalk,
    Payment,
    Purchase,
    RegisterEmployer,
    RegisterMerchant,
    SealRange,
)
from authz.decision.issuing.commands import Issuing
from authz.decision.reference import (
    SWEEP_PASSBOOK,
    VINTAGES_PASSBOOK,
    acquirer_passbook,
    employer_passbook,
    link_passbook,
    merchant_passbook,
    programme_passbook,
    range_passbook,
)
from ledger.values import HolderId

PURCHASE = str(Purchase.__struct_config__.tag)
AUTHORIZATION, AUTHORIZATION_ADVICE = "authorization", "authorization_advice"
"""Kinds of records that make holds."""


def passbook_of(command: Administration) -> HolderId:
    """Whose passbook an issuer's command is written in."""
    match command:
        case AdoptProgramme(programme):
            return programme_passbook(programme.id)
        case RegisterMerchant(merchant):
            return merchant_passbook(merchant.id)
        case RegisterEmployer(employer):
            return employer_passbook(employer.id)
        case NoteSweep():
            return SWEEP_PASSBOOK
        case NoteWalk():
            return VINTAGES_PASSBOOK
        case Carry(passbook):
            return passbook
        case SealRange(manifest):
            return range_passbook(manifest.range)
        case CutOver(acquirer):
            return acquirer_passbook(acquirer)
        case ChangeKey(acquirer):
            return link_passbook(acquirer)
        case Issuing():
            return command.passbook
        case _:
            return command.holder


def beside_of(command: Command) -> HolderId | None:
    """Whose passbook a decision reads beside the one that it is written in: a payment's merchant, an order's client."""
    if isinstance(command, Payment):
        return merchant_passbook(command.origin.merchant_id)
    return command.beside if isinstance(command, Issuing) else None


def kind_of(command: Command) -> str:
    """The word for a command in the journal; what only holds is an authorization, or the advice of one."""
    if isinstance(command, Purchase):
        return AUTHORIZATION if command.holds else PURCHASE
    if isinstance(command, Advice) and command.holds:
        return AUTHORIZATION_ADVICE
    return str(command.__struct_config__.tag)
