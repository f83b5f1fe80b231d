"""What a terminal says, in French and in English: labels, products, and a sentence for every reason (DE 44)."""

from enum import StrEnum

from msgspec import Struct


class Language(StrEnum):
    """What a receipt is written in."""

    FRENCH = "fr"
    ENGLISH = "en"
    BOTH = "both"


class Words(Struct, frozen=True, array_like=True):
    """The same thing said twice."""

    fr: str
    en: str

    def spoken(self, language: Language) -> tuple[str, ...]:
        """In the language asked for: French first where it is both; said once where both say the same."""
        if language is Language.FRENCH:
            return (self.fr,)
        if language is Language.ENGLISH or self.fr == self.en:
            return (self.en,)
        return self.fr, self.en


APPROVED = Words("Approuvé", "Approved")
PARTIAL = Words("Accord partiel", "Partly approved")
REFUSED = Words("Refusé", "Refused")
REVERSED = Words("Annulé", "Reversed")
NOT_REVERSED = Words("Non annulé", "Not reversed")

REASONS = {
    "APPROVED": Words("Paiement accepté", "Payment accepted"),
    "PARTIAL": Words("Montant accepté en partie", "Part of the amount accepted"),
    "FORMAT": Words("Demande mal formée", "Ill-formed request"),
    "MAC_WRONG": Words("Sceau du message faux", "Message seal wrong"),
    "ACQUIRER_UNKNOWN": Words("Acquéreur inconnu", "Acquirer unknown"),
    "NOT_SIGNED_ON": Words("Liaison non ouverte", "Link not signed on"),
    "IDENTITY_REUSED": Words("Numéro déjà pris par une autre demande", "Number used by another request"),
    "REVERSED_BEFORE": Words("Demande déjà annulée", "Request reversed before"),
    "CARD_UNKNOWN": Words("Carte inconnue", "Card unknown"),
    "CARD_LOST": Words("Carte déclarée perdue", "Card reported lost"),
    "CARD_STOLEN": Words("Carte déclarée volée", "Card reported stolen"),
    "CARD_FRAUD": Words("Carte bloquée pour fraude", "Card stopped for fraud"),
    "CARD_NOT_ACTIVE": Words("Carte pas encore activée", "Card not activated yet"),
    "CARD_REPLACED": Words("Carte remplacée par une plus récente", "Card replaced by a newer one"),
    "PIN_LOCKED": Words("Code bloqué : demander une autre carte", "PIN locked: ask for a new card"),
    "CARD_EXPIRED": Words("Carte expirée, ou date d'expiration fausse", "Card expired, or wrong expiry date"),
    "PIN_WRONG": Words("Code faux", "Wrong PIN"),
    "PIN_MISSING": Words("Code nécessaire", "PIN needed"),
    "CVV_WRONG": Words("Cryptogramme visuel faux ou absent", "Security code wrong or missing"),
    "ONLINE_LOCKED": Words("Paiement en ligne bloqué", "Online payment locked"),
    "ARQC_WRONG": Words("Cryptogramme de la puce faux", "Chip cryptogram wrong"),
    "ONLINE_NOT_ALLOWED": Words("Carte non admise sans lecture", "Card must be read: no online use"),
    "TRANSACTION": Words("Opération non prévue", "Transaction not supported"),
    "AMOUNT": Words("Montant non valable", "Amount not valid"),
    "CURRENCY": Words("Devise refusée : euros seulement", "Currency refused: euros only"),
    "PRODUCT_NOT_CHOSEN": Words("Choisir le titre à utiliser", "Choose which voucher to use"),
    "PRODUCT_NOT_HELD": Words("Titre absent de cette carte", "Voucher not on this card"),
    "REFUND_NOT_ALLOWED": Words("Remboursement refusé", "Refund not allowed"),
    "MERCHANT_UNKNOWN": Words("Commerçant inconnu", "Merchant unknown"),
    "MERCHANT_NOT_ELIGIBLE": Words("Titre non accepté dans ce commerce", "Voucher not accepted at this shop"),
    "SUNDAY": Words("Pas de paiement le dimanche", "No payment on Sundays"),
    "HOLIDAY": Words("Pas de paiement les jours fériés", "No payment on public holidays"),
    "DAILY_CAP": Words("Plafond du jour dépassé", "Daily limit exceeded"),
    "NO_FUNDS": Words("Solde insuffisant", "Balance too small"),
    "VINTAGE_EXPIRED": Words("Solde insuffisant : titres périmés", "Balance too small: vouchers expired"),
    "NO_ORIGINAL": Words("Opération d'origine introuvable", "Original transaction not found"),
    "OVERLOADED": Words("Serveur saturé : réessayer", "Server busy: try again"),
    "UNAVAILABLE": Words("Service indisponible : réessayer", "Service unavailable: try again"),
    "INTERNAL": Words("Erreur du serveur", "Server error"),
}
"""By the reason's word, as the authorizer's interface lists them."""

PRODUCTS = {
    "90": Words("Titre-restaurant", "Meal voucher"),
    "91": Words("Chèque-repas", "Lunch voucher"),
    "92": Words("Éco-chèque", "Eco voucher"),
    "93": Words("Chèque-cadeau", "Gift voucher"),
    "94": Words("Chèque sport et culture", "Sport and culture voucher"),
    "95": Words("Chèque consommation", "Consumption voucher"),
}
"""By the product's code in DE 3 and DE 54."""


def reason_in_words(reason: str | None, response_code: str) -> Words:
    """Say why, also for a host that gives no reason, or one that isn't listed: then by its response code."""
    return REASONS.get(reason or "", Words(f"Code réponse {response_code}", f"Response code {response_code}"))


def product_in_words(product: str) -> Words:
    """Name a product, also one that isn't listed."""
    return PRODUCTS.get(product, Words(f"Titre {product}", f"Voucher {product}"))
