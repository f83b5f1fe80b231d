"""What a terminal says, in French, Dutch and English: labels, products, and a sentence for every reason (DE 44)."""

from enum import StrEnum

from msgspec import Struct

from simulators.terminal.book import Kind


class Language(StrEnum):
    """What a receipt is written in."""

    FRENCH = "fr"
    DUTCH = "nl"
    ENGLISH = "en"
    BOTH = "both"
    """French and English, one behind the other."""


class Words(Struct, frozen=True, array_like=True):
    """The same thing said three times."""

    fr: str
    nl: str
    en: str

    def spoken(self, language: Language) -> tuple[str, ...]:
        """In the language asked for: French first where it is both; said once where both say the same."""
        match language:
            case Language.FRENCH:
                return (self.fr,)
            case Language.DUTCH:
                return (self.nl,)
            case Language.BOTH if self.fr != self.en:
                return self.fr, self.en
            case _:
                return (self.en,)

    def said(self, language: Language) -> str:
        """The same on one line.

        >>> APPROVED.said(Language.DUTCH), APPROVED.said(Language.BOTH)
        ('Goedgekeurd', 'Approuvé / Approved')
        """
        return " / ".join(self.spoken(language))


APPROVED = Words("Approuvé", "Goedgekeurd", "Approved")
PARTIAL = Words("Accord partiel", "Deels goedgekeurd", "Partly approved")
REFUSED = Words("Refusé", "Geweigerd", "Refused")
REVERSED = Words("Annulé", "Geannuleerd", "Reversed")
NOT_REVERSED = Words("Non annulé", "Niet geannuleerd", "Not reversed")
OFFLINE = Words("Accepté hors ligne", "Offline aanvaard", "Accepted offline")
DUPLICATE = Words("Duplicata", "Duplicaat", "Duplicate")
DAY_CLOSED = Words("Télécollecte", "Dagafsluiting", "End of day")

TERMINAL = Words("Terminal", "Terminal", "Terminal")
DATE = Words("Date", "Datum", "Date")
CARD = Words("Carte", "Kaart", "Card")
TRACE = Words("Numéro", "Volgnummer", "Trace number")
AMOUNT = Words("Montant", "Bedrag", "Amount")
ACCEPTED = Words("Accepté", "Aanvaard", "Approved")
REST = Words("Reste à payer", "Nog te betalen", "Left to pay")
APPROVAL = Words("Autorisation", "Toelating", "Approval")
BALANCE = Words("Solde", "Saldo", "Balance")
LEFT_TODAY = Words("Encore ce jour", "Nog vandaag", "Left today")
TRIES_LEFT = Words("Essais restants", "Resterende pogingen", "Tries left")
KEEP = Words("Ticket à conserver", "Ticket te bewaren", "Please keep this receipt")
MERCHANT_COPY = Words("Exemplaire commerçant", "Exemplaar handelaar", "Merchant copy")
GIVEN_BACK = Words("Annulations", "Annuleringen", "Reversals")
OWED = Words("À recevoir", "Te ontvangen", "To be paid")
PIN = Words("Code", "Code", "PIN")
INSERT = Words("Puce", "Chip", "Chip")
TAP = Words("Sans contact", "Contactloos", "Contactless")
SWIPE = Words("Piste", "Strip", "Stripe")
CARDS = Words("Cartes", "Kaarten", "Cards")
RECEIPTS = Words("Tickets", "Tickets", "Receipts")
MESSAGES = Words("Messages", "Berichten", "Messages")
LINKED = Words("relié", "verbonden", "connected")
UNLINKED = Words("pas de liaison", "geen verbinding", "no link")
LINKING = Words("appel…", "oproep…", "calling…")
PAY_REST = Words("OK : payer le reste", "OK: de rest betalen", "OK: pay the rest")
PANE = Words("Volet suivant", "Volgend paneel", "Next pane")
QUIT = Words("Quitter", "Sluiten", "Quit")
KINDS = {
    Kind.SALE: Words("Ventes", "Verkopen", "Sales"),
    Kind.HOLD: Words("Réservations", "Reserveringen", "Holds"),
    Kind.CAPTURE: Words("Encaissements", "Inningen", "Completions"),
    Kind.ADVICE: Words("Ventes hors ligne", "Verkopen offline", "Offline sales"),
    Kind.REFUND: Words("Remboursements", "Terugbetalingen", "Refunds"),
}
"""What a terminal's book has lines of."""

REASONS = {
    "APPROVED": Words("Paiement accepté", "Betaling aanvaard", "Payment accepted"),
    "PARTIAL": Words("Montant accepté en partie", "Bedrag deels aanvaard", "Part of the amount accepted"),
    "FORMAT": Words("Demande mal formée", "Aanvraag verkeerd gevormd", "Ill-formed request"),
    "MAC_WRONG": Words("Sceau du message faux", "Zegel van het bericht fout", "Message seal wrong"),
    "ACQUIRER_UNKNOWN": Words("Acquéreur inconnu", "Acquirer onbekend", "Acquirer unknown"),
    "NOT_SIGNED_ON": Words("Liaison non ouverte", "Verbinding niet aangemeld", "Link not signed on"),
    "IDENTITY_REUSED": Words(
        "Numéro déjà pris par une autre demande", "Nummer al van een andere aanvraag", "Number used by another request"
    ),
    "REVERSED_BEFORE": Words("Demande déjà annulée", "Aanvraag al geannuleerd", "Request reversed before"),
    "CARD_UNKNOWN": Words("Carte inconnue", "Kaart onbekend", "Card unknown"),
    "CARD_LOST": Words("Carte déclarée perdue", "Kaart als verloren gemeld", "Card reported lost"),
    "CARD_STOLEN": Words("Carte déclarée volée", "Kaart als gestolen gemeld", "Card reported stolen"),
    "CARD_FRAUD": Words("Carte bloquée pour fraude", "Kaart geblokkeerd wegens fraude", "Card stopped for fraud"),
    "CARD_NOT_ACTIVE": Words("Carte pas encore activée", "Kaart nog niet geactiveerd", "Card not activated yet"),
    "CARD_REPLACED": Words(
        "Carte remplacée par une plus récente", "Kaart vervangen door een nieuwere", "Card replaced by a newer one"
    ),
    "PIN_LOCKED": Words(
        "Code bloqué : demander une autre carte",
        "Code geblokkeerd: vraag een nieuwe kaart",
        "PIN locked: ask for a new card",
    ),
    "CARD_EXPIRED": Words(
        "Carte expirée, ou date d'expiration fausse",
        "Kaart vervallen, of vervaldatum fout",
        "Card expired, or wrong expiry date",
    ),
    "PIN_WRONG": Words("Code faux", "Code fout", "Wrong PIN"),
    "PIN_MISSING": Words("Code nécessaire", "Code nodig", "PIN needed"),
    "CVV_WRONG": Words(
        "Cryptogramme visuel faux ou absent", "Beveiligingscode fout of ontbreekt", "Security code wrong or missing"
    ),
    "ONLINE_LOCKED": Words("Paiement en ligne bloqué", "Onlinebetaling geblokkeerd", "Online payment locked"),
    "ARQC_WRONG": Words("Cryptogramme de la puce faux", "Cryptogram van de chip fout", "Chip cryptogram wrong"),
    "ONLINE_NOT_ALLOWED": Words(
        "Carte non admise sans lecture", "Kaart moet gelezen worden", "Card must be read: no online use"
    ),
    "TRANSACTION": Words("Opération non prévue", "Verrichting niet voorzien", "Transaction not supported"),
    "AMOUNT": Words("Montant non valable", "Bedrag ongeldig", "Amount not valid"),
    "CURRENCY": Words(
        "Devise refusée : euros seulement", "Munt geweigerd: alleen euro", "Currency refused: euros only"
    ),
    "PRODUCT_NOT_CHOSEN": Words("Choisir le titre à utiliser", "Kies welke cheque", "Choose which voucher to use"),
    "PRODUCT_NOT_HELD": Words("Titre absent de cette carte", "Cheque niet op deze kaart", "Voucher not on this card"),
    "REFUND_NOT_ALLOWED": Words("Remboursement refusé", "Terugbetaling geweigerd", "Refund not allowed"),
    "MERCHANT_UNKNOWN": Words("Commerçant inconnu", "Handelaar onbekend", "Merchant unknown"),
    "MERCHANT_NOT_ELIGIBLE": Words(
        "Titre non accepté dans ce commerce", "Cheque niet aanvaard in deze zaak", "Voucher not accepted at this shop"
    ),
    "SUNDAY": Words("Pas de paiement le dimanche", "Geen betaling op zondag", "No payment on Sundays"),
    "HOLIDAY": Words(
        "Pas de paiement les jours fériés", "Geen betaling op feestdagen", "No payment on public holidays"
    ),
    "DAILY_CAP": Words("Plafond du jour dépassé", "Daglimiet overschreden", "Daily limit exceeded"),
    "NO_FUNDS": Words("Solde insuffisant", "Saldo ontoereikend", "Balance too small"),
    "VINTAGE_EXPIRED": Words(
        "Solde insuffisant : titres périmés",
        "Saldo ontoereikend: cheques vervallen",
        "Balance too small: vouchers expired",
    ),
    "NO_ORIGINAL": Words(
        "Opération d'origine introuvable", "Oorspronkelijke verrichting onbekend", "Original transaction not found"
    ),
    "OVERLOADED": Words("Serveur saturé : réessayer", "Server bezet: probeer opnieuw", "Server busy: try again"),
    "UNAVAILABLE": Words(
        "Service indisponible : réessayer", "Dienst onbeschikbaar: probeer opnieuw", "Service unavailable: try again"
    ),
    "INTERNAL": Words("Erreur du serveur", "Fout van de server", "Server error"),
}
"""By the reason's word, as the authorizer's interface lists them."""

UNHEARD = {
    "Y3": Words(
        "Pas de liaison : accepté hors ligne", "Geen verbinding: offline aanvaard", "No link: accepted offline"
    ),
    "Z3": Words("Pas de liaison", "Geen verbinding", "No link"),
    "68": Words(
        "Pas de réponse : rien n'est débité", "Geen antwoord: niets aangerekend", "No answer: nothing is taken"
    ),
}
"""By the response code that a terminal gives itself where no host does."""

PRODUCTS = {
    "90": Words("Titre-restaurant", "Maaltijdbon", "Meal voucher"),
    "91": Words("Chèque-repas", "Maaltijdcheque", "Lunch voucher"),
    "92": Words("Éco-chèque", "Ecocheque", "Eco voucher"),
    "93": Words("Chèque-cadeau", "Geschenkcheque", "Gift voucher"),
    "94": Words("Chèque sport et culture", "Sport- en cultuurcheque", "Sport and culture voucher"),
    "95": Words("Chèque consommation", "Consumptiecheque", "Consumption voucher"),
}
"""By the product's code in DE 3 and DE 54."""


def reason_in_words(reason: str | None, response_code: str) -> Words:
    """Say why, also for a host that gives no reason, or one that isn't listed: then by its response code."""
    known = REASONS.get(reason or "") or UNHEARD.get(response_code)
    if known is not None:
        return known
    return Words(f"Code réponse {response_code}", f"Antwoordcode {response_code}", f"Response code {response_code}")


def product_in_words(product: str) -> Words:
    """Name a product, also one that isn't listed."""
    return PRODUCTS.get(product, Words(f"Titre {product}", f"Cheque {product}", f"Voucher {product}"))


SCREEN = {
    "resuming": Words("Reprise…", "Hervatten…", "Resuming…"),
    "resumed": Words(
        "Repris : {reversed} annulée(s), {told} à transmettre",
        "Hervat: {reversed} geannuleerd, {told} door te sturen",
        "Resumed: {reversed} reversed, {told} to tell",
    ),
    "ready": Words("Bonjour", "Welkom", "Welcome"),
    "type amount": Words("Tapez le montant", "Typ het bedrag", "Type the amount"),
    "choose generation": Words(
        "Carte 1 ou 2 ? OK : lue sur la carte", "Kaart 1 of 2? OK: van de kaart", "Card 1 or 2? OK: as the card says"
    ),
    "other generation": Words(
        "C'est une carte {generation}", "Dit is een kaart {generation}", "This is a card {generation}"
    ),
    "present card": Words("Présentez la carte", "Bied de kaart aan", "Present the card"),
    "card unreadable": Words("Carte illisible ainsi", "Kaart zo onleesbaar", "Card can't be read this way"),
    "choose product": Words("Quel titre ?", "Welke cheque?", "Which voucher?"),
    "type pin": Words("Tapez le code, puis OK", "Typ de code, dan OK", "Type the PIN, then OK"),
    "pin wanted": Words("Code demandé", "Code gevraagd", "PIN asked for"),
    "pin too short": Words("Code trop court", "Code te kort", "PIN too short"),
    "wrong pin": Words("Code faux : reste {tries}", "Code fout: nog {tries}", "Wrong PIN: {tries} left"),
    "asking": Words("Autorisation…", "Autorisatie…", "Authorizing…"),
    "taking back": Words("Annulation…", "Annulering…", "Reversing…"),
    "approved": APPROVED,
    "partial": Words("Reste à payer {rest}", "Nog te betalen {rest}", "Left to pay {rest}"),
    "refused": REFUSED,
    "accepted offline": OFFLINE,
    "no answer": UNHEARD["68"],
    "left to tell": Words("{to_tell} à transmettre", "{to_tell} door te sturen", "{to_tell} to tell"),
    "no link": UNHEARD["Z3"],
    "cancelled": Words("Annulé", "Geannuleerd", "Cancelled"),
    "nothing to cancel": Words("Rien à annuler", "Niets te annuleren", "Nothing to cancel"),
    "nothing to print": Words("Rien à imprimer", "Niets af te drukken", "Nothing to print"),
    "balance": BALANCE,
    "menu": Words("Menu", "Menu", "Menu"),
    "closing": Words("Télécollecte…", "Dagafsluiting…", "Closing the day…"),
    "day closed": Words("Journée close : {owed}", "Dag gesloten: {owed}", "Day closed: {owed}"),
    "day not closed": Words(
        "Pas encore : {to_tell} à transmettre", "Nog niet: {to_tell} door te sturen", "Not yet: {to_tell} to tell"
    ),
    "failed": Words("{why}", "{why}", "{why}"),
}
"""What the screen says, by the device's word for it; what stands in braces is given with it."""

MENU = {
    "balance": BALANCE,
    "cancel last": Words("Annuler le dernier", "Laatste annuleren", "Cancel the last"),
    "duplicate": DUPLICATE,
    "close day": DAY_CLOSED,
    "language": Words("Langue", "Taal", "Language"),
}
"""By the device's word for what the menu offers."""
