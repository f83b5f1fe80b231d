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


class EmployerUnknown(Refused):
    """There is no such employer: open its account first."""


class ProgrammeDiffers(Refused):
    """The employer is of another programme."""


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


class OfferMade(Refused):
    """The offer was made already."""


class OfferUnknown(Refused):
    """There is no such offer."""


class OfferEmpty(Refused):
    """An offer names at least one product."""


class OfferTooLong(Refused):
    """An offer names at most 20 products."""


class OfferOver(Refused):
    """An offer's last day is today or later."""


class OfferClosed(Refused):
    """The offer was accepted or withdrawn, or its last day is over."""


class ProductUnknown(Refused):
    """No such product can be named in DE 3: 90 to 95."""


class PaperOver(Refused):
    """Paper eco and gift vouchers can't be ordered any more; those in circulation stay valid."""


class NamedTwice(Refused):
    """Something is named twice where once is enough: a product in its format, a user, or an agent."""


class ClientOpen(Refused):
    """The client has an account already."""


class ClientUnknown(Refused):
    """There is no such client."""


class TooManyUsers(Refused):
    """A client has at most 50 users."""


class TooManyAgents(Refused):
    """A client has at most 20 agents."""


class NoContract(Refused):
    """The client has no contract for this product in the electronic format."""


class OrderUnknown(Refused):
    """There is no such order."""


class LinesMalformed(Refused):
    """A chunk has 1 to 250 lines, each of at least one cent."""


class MonthMalformed(Refused):
    """An order is for a month, which is named by its first day."""


class OrderMalformed(Refused):
    """An order has 1 to 800 chunks of 1 to 250 lines, each line of at least one cent and at most one card."""


class RevisionDiffers(Refused):
    """The order was changed meanwhile: look at its newest recap first."""


class OrderFixed(Refused):
    """The order was confirmed, paid, done or cancelled, so that this can't be done to it any more."""


class OrderNotConfirmed(Refused):
    """Only a confirmed order is paid, and only once."""


class OrderNotPaid(Refused):
    """Only the lines of an order that is paid, and not done yet, are carried out."""


class ReferenceMissing(Refused):
    """A payment bears the reference of the bank transfer."""


class PaymentDiffers(Refused):
    """The amount isn't what the order costs."""


class ProductDiffers(Refused):
    """The order is for another product."""


class AppliedTooMany(Refused):
    """An order has no more chunks to carry out than these."""


class CardNotInactive(Refused):
    """Only a card that was never active, and isn't stopped, is activated."""


class NothingToRemind(Refused):
    """The holder has nothing left of this lot."""


class RequestAsked(Refused):
    """The same was asked already."""


class RequestUnknown(Refused):
    """There is no such request."""


class RequestAnswered(Refused):
    """The request was answered already."""


class RequestNotValidated(Refused):
    """Only what was validated is done, and only once."""


class RequestMalformed(Refused):
    """A remake is done when its new card is known; a PIN is sent again without one."""


class RunStarted(Refused):
    """There is a production run of this number already."""


class RunUnknown(Refused):
    """There is no such production run."""


class RunMalformed(Refused):
    """A production run begins with a card file alone, of 1 to 5,000 cards."""


class RunElsewhere(Refused):
    """A run's cards are sent, then its PIN file is made, then its PINs are sent: each once."""


class PinFileMisplaced(Refused):
    """A PIN file's digest comes with the step that makes it, and with no other."""


class PinsTooEarly(Refused):
    """PINs are made 48 hours after their cards were sent, or later."""


class AccessGranted(Refused):
    """The token opens something already, or did until it was taken back for good."""


class AccessUnknown(Refused):
    """There is no such access."""


class AccessRevoked(Refused):
    """The access was taken back already, and that is for good."""


class SubjectMisplaced(Refused):
    """An employer's, an agent's and a holder's access names whose it is; the issuer's people's names nobody."""
