"""Administration that makes no sense: each thing that can be wrong is a class, whose docstring is its message."""


class Refused(Exception):
    """The command makes no sense here: nothing changes."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class HolderUnknown(Refused):
    """The holder has no passbook: enrol them first."""


class HolderEnrolled(Refused):
    """The holder has a passbook already."""


class CardUnknown(Refused):
    """The holder has no such card."""


class CardIssued(Refused):
    """The holder has this card already."""


class CardStopped(Refused):
    """The card is stopped already, and that is for good."""


class ExpiryMalformed(Refused):
    """A card's expiry is four digits, YYMM, with a month from 01 to 12."""


class LoadEmpty(Refused):
    """A load needs an amount of at least one cent."""


class LotMalformed(Refused):
    """A lot has a product that DE 3 can name, a name without colons, and a first day not after its last."""


class LotDiffers(Refused):
    """The holder has a lot of this product and name that is valid on other days."""


class ZoneUnknown(Refused):
    """The merchant's time zone isn't an IANA name."""


class BusinessDayTooFar(Refused):
    """A business day begins at most 7 days ahead of the calendar."""


class NothingToCarry(Refused):
    """The passbook has no line that could be carried."""


class RangeSealed(Refused):
    """The range of the journal has its manifest already."""


class NothingDue(Refused):
    """The holder has nothing that is due by the date."""


class ProgrammeUnknown(Refused):
    """No programme says how this holder's lots live: register their employer, and adopt its programme, first."""


class NothingWaits(Refused):
    """Nothing of this lot waits among the holder's expired ones."""


class NotExchanged(Refused):
    """Lots of this product and name aren't exchanged for a next vintage."""


class ExchangeOver(Refused):
    """The time to ask for the next vintage in exchange of this lot is over."""


class NotReactivated(Refused):
    """Lots of this product aren't reactivated."""


class ReactivationOver(Refused):
    """The time to ask for this lot to be reactivated is over."""


class ReactivatedBefore(Refused):
    """The lot was reactivated already, and that is done once."""
