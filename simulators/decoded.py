"""A message as a person reads it: its fields in order, each with its name, its value and a word of meaning.

What is secret is masked: the PAN but for its first six and last four digits, and track 2, PIN block, CVV2 and key
blocks whole. Of chip data (DE 55) those tags show their values that hold nothing of the card and prove nothing.
"""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct
from pyemv import tlv

from authz.wire.amounts import parse_amounts
from authz.wire.dialect import shipped
from authz.wire.message import ATTRIBUTES, Elements, Message
from authz.wire.original import ORIGINAL_DIGITS, OriginalElements, amount_that_stands
from authz.wire.rules import INQUIRY, INQUIRY_TRANSACTIONS, PRESENTED, RULES, first_mti, is_repeat, is_response

MASK = "••••"
"""Stands for a secret, whatever its length."""
NAMES = {number: field.name for number, field in shipped("iso87ascii").fields.items()}
"""Field names by number: those of ISO 8583:1987, which all dialects share."""
SECRET = frozenset({34, 35, 36, 45, 52, 53})
"""Fields shown as a mask: tracks, the PAN's extension, PIN block, what belongs to its security."""
PAN_FIELD = 2

TRANSACTIONS = {"00": "purchase", "20": "refund", "30": "balance inquiry", "31": "balance inquiry"}
"""By the first two digits of DE 3."""
PRODUCTS = {
    "00": "no product named",
    "90": "titre-restaurant",
    "91": "lunch",
    "92": "eco",
    "93": "gift",
    "94": "sport-culture",
    "95": "consumption",
}
"""By the next two digits of DE 3, and the first two of an entry of DE 54."""
ENTRIES = {
    "01": "manual",
    "02": "stripe",
    "05": "chip",
    "07": "contactless",
    "80": "stripe, for want of the chip",
    "81": "e-commerce",
    "90": "stripe, read whole",
    "91": "contactless stripe",
}
"""By the first two digits of DE 22."""
PIN_ENTRY = {"0": "PIN entry unknown", "1": "can take a PIN", "2": "can't take a PIN"}
"""By the third digit of DE 22."""
RESPONSES = {
    "00": "approved",
    "03": "merchant unknown",
    "10": "approved in part",
    "12": "transaction not valid",
    "13": "amount not valid",
    "14": "card unknown",
    "25": "original not found",
    "30": "format error",
    "41": "card lost",
    "42": "no such product on the card",
    "43": "card stolen",
    "51": "not enough funds",
    "54": "card expired",
    "55": "PIN wrong or missing",
    "57": "not permitted to the card",
    "58": "not permitted to the terminal",
    "61": "above the limit of the day",
    "62": "card restricted",
    "63": "security violation",
    "75": "PIN tries exceeded",
    "91": "issuer out of reach",
    "94": "number used twice",
    "96": "system malfunction",
}
"""By DE 39, in the standard's sense."""
NETWORK = {"001": "sign-on", "002": "sign-off", "161": "key change", "201": "cutover", "301": "echo"}
"""By DE 70."""
AMOUNT_TYPES = {"02": "available", "20": "left of the day's cap"}
"""By the second two digits of an entry of DE 54."""
SETTLEMENT = {"1": "in balance", "2": "out of balance"}
"""By DE 66."""
ELEMENTS = {
    "cvv2": ("CV", "CVV2"),
    "takes_partial": ("PA", "Partial approvals"),
    "key_block": ("KB", "Key block (TR-31)"),
    "key_check": ("KC", "Key check value"),
    "key_serial": ("KS", "Key serial number (DUKPT)"),
    "tries_left": ("TR", "PIN tries left"),
}
"""Tag and name of the elements of DE 48."""
SECRET_ELEMENTS = frozenset({"cvv2", "key_block"})
CHIP_TAGS = {
    "5F2A": "Transaction currency",
    "5F34": "PAN sequence number",
    "82": "Application interchange profile",
    "95": "Terminal verification results",
    "9A": "Transaction date",
    "9C": "Transaction type",
    "9F02": "Amount, authorized",
    "9F03": "Amount, other",
    "9F1A": "Terminal country",
    "9F27": "Cryptogram information data",
    "9F33": "Terminal capabilities",
    "9F34": "Cardholder verification results",
    "9F35": "Terminal type",
    "9F36": "Application transaction counter",
    "9F37": "Unpredictable number",
}
"""Tags whose values are shown (EMV Book 3, annex A)."""
CHIP_TAGS_MASKED = {"9F26": "Application cryptogram", "9F10": "Issuer application data", "91": "Issuer authentication"}
CENTS_FIELDS = frozenset({4, 5, 6, 86, 87, 88, 89})


class Row(Struct, frozen=True):
    """One line of a decoded message. `field` is the DE number, with a part's tag behind it (`48.PA`), or `MTI`.

    `value` is what may be seen of it; `meaning` is empty where the value says it all.
    """

    field: str
    name: str
    value: str
    meaning: str = ""


def rows(message: Message) -> tuple[Row, ...]:
    """Decode a message: its MTI, then its fields in order, those of parts (DE 48, 54, 55) followed by theirs."""
    return tuple(_rows(message))


def lines(message: Message) -> list[str]:
    """Decode a message as text, a line a row, in columns."""
    return [
        f"{row.field:>7}  {row.name:<{_NAME_COLUMNS}}  {row.value}{f'  ({row.meaning})' if row.meaning else ''}"
        for row in rows(message)
    ]


def shown(field: int, text: str) -> str:
    """What may be seen of a field's text: for whoever shows a field without its message.

    >>> shown(2, "9250100000000014"), shown(52, "3E40023C3049D265"), shown(39, "00")
    ('925010……0014', '••••', '00')
    """
    if field == PAN_FIELD:
        return f"{text[:6]}……{text[-4:]}" if len(text) >= _PAN_DIGITS_MIN else MASK
    if field == 48:
        elements = Elements.parse(text)
        return MASK if elements is None else " ".join(f"{row.field[3:]}={row.value}" for row in _elements(elements))
    if field == 55:
        return " ".join(f"{row.field[3:]}={row.value}" for row in _chip(text)) or MASK
    return MASK if field in SECRET else text.rstrip()


def meaning(field: int, text: str) -> str:
    """A word about a field's text, empty where it says it all itself or isn't known.

    >>> meaning(3, "009000"), meaning(22, "051"), meaning(4, "000000001250")
    ('purchase, titre-restaurant', 'chip, can take a PIN', '12.50')
    """
    known = _MEANINGS.get(field)
    if known is not None:
        return known.get(text, "")
    if field in CENTS_FIELDS and text.isdigit():
        return _amount(int(text))
    match field:
        case 3:
            return _listed(TRANSACTIONS.get(text[:2]), PRODUCTS.get(text[2:4]))
        case 22:
            return _listed(ENTRIES.get(text[:2]), PIN_ENTRY.get(text[2:3]))
        case 44:
            return text.rstrip().replace("_", " ").lower()
        case 90 if len(text) >= ORIGINAL_DIGITS:
            original = OriginalElements.parse(text)
            return f"{original.mti} number {original.trace} of {original.transmitted}"
        case 95 if re.fullmatch("[0-9]{12}.*", text):
            return f"{_amount(amount_that_stands(text))} stands"
    return ""


_PAN_DIGITS_MIN = 12
_NAME_COLUMNS = max(map(len, NAMES.values()))
_MEANINGS = {39: RESPONSES, 49: {"978": "euro"}, 66: SETTLEMENT, 70: NETWORK}


def _rows(message: Message) -> Iterator[Row]:
    yield Row("MTI", "Message type", message.mti, _type(message))
    present = dict(_present(message))
    present |= {number: length for number, length in message.unused if number not in present}
    for number in sorted(present):
        content, name, field = present[number], NAMES.get(number, ""), str(number)
        if isinstance(content, int):
            yield Row(field, name, f"{content} characters", "not read")
        elif isinstance(content, Elements):
            yield Row(field, name, "")
            yield from _elements(content)
        elif number == 54:
            yield Row(field, name, "")
            yield from _balances(content)
        elif number == 55:
            yield Row(field, name, "")
            yield from _chip(content)
        else:
            yield Row(field, name, shown(number, content), meaning(number, content))


def _present(message: Message) -> Iterator[tuple[int, str | Elements | int]]:
    """The fields that are there. The MAC stands last: in DE 128 as soon as any other is above 64."""
    for number, attribute in ATTRIBUTES.items():
        content = getattr(message, attribute)
        if content is not None and attribute != "mac":
            yield number, content
    if message.mac is not None:
        high = any(number > 64 for number in _numbers(message))
        yield (128 if high else 64), message.mac


def _numbers(message: Message) -> Iterable[int]:
    for number, attribute in ATTRIBUTES.items():
        if attribute != "mac" and getattr(message, attribute) is not None:
            yield number
    yield from (number for number, _ in message.unused)


def _type(message: Message) -> str:
    mti, replies = message.mti, is_response(message.mti)
    request = f"{mti[:2]}{int(mti[2]) - 1}0" if replies else first_mti(mti)
    inquires = request in PRESENTED and (message.processing_code or "")[:2] in INQUIRY_TRANSACTIONS
    rule = INQUIRY if inquires else RULES.get(request)
    if rule is None:
        return ""
    if replies:
        return f"reply: {rule.meaning}"
    return f"{rule.meaning}, repeated" if is_repeat(mti) else rule.meaning


def _elements(elements: Elements) -> Iterator[Row]:
    for attribute, (tag, name) in ELEMENTS.items():
        value = getattr(elements, attribute)
        if value is not None:
            yield Row(f"48.{tag}", name, MASK if attribute in SECRET_ELEMENTS else value)


def _balances(text: str) -> Iterator[Row]:
    entries = parse_amounts(text)
    if entries is None:
        yield Row("54.1", "ill-formed", text)
    for number, entry in enumerate(entries or (), 1):
        name = AMOUNT_TYPES.get(entry.amount_type, f"Amount type {entry.amount_type}").capitalize()
        yield Row(f"54.{number}", name, entry.text, _listed(PRODUCTS.get(entry.account_type), _amount(entry.amount)))


def _chip(text: str) -> Iterator[Row]:
    try:
        tags = tlv.decode(bytes.fromhex(text), flatten=True)
    except ValueError:  # its DecodeError holds what it has read: not to be let out
        yield Row("55.?", "ill-formed", MASK)
        return
    for tag, value in tags.items():
        if tag in CHIP_TAGS:
            yield Row(f"55.{tag}", CHIP_TAGS[tag], value.hex().upper())
        else:
            yield Row(f"55.{tag}", CHIP_TAGS_MASKED.get(tag, "Not shown"), MASK)


def _amount(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def _listed(*words: str | None) -> str:
    return ", ".join(word for word in words if word)
