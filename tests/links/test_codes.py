"""Every reason has its DE 39: docs/interface.md, the table under "What is checked, in which order"."""

import pytest

from authz.decision.outcomes import Reason
from authz.links.codes import RESPONSE_CODES

TABLE = """
APPROVED / PARTIAL | 00 / 10
FORMAT | 30
MAC_WRONG | 63
ACQUIRER_UNKNOWN / NOT_SIGNED_ON | 58 / 91
IDENTITY_REUSED / REVERSED_BEFORE | 94 / 94
CARD_UNKNOWN | 14
CARD_LOST / CARD_STOLEN / CARD_FRAUD | 41 / 43 / 43
CARD_NOT_ACTIVE / CARD_REPLACED | 62 / 62
PIN_LOCKED | 75
CARD_EXPIRED | 54
PIN_WRONG | 55
PIN_MISSING | 55
CVV_WRONG / ONLINE_LOCKED | 63 / 57
ARQC_WRONG | 63
ONLINE_NOT_ALLOWED | 57
TRANSACTION / AMOUNT / CURRENCY | 12 / 13 / 12
PRODUCT_NOT_CHOSEN / PRODUCT_NOT_HELD | 12 / 42
REFUND_NOT_ALLOWED | 57
MERCHANT_UNKNOWN / MERCHANT_NOT_ELIGIBLE | 03 / 58
SUNDAY / HOLIDAY | 57 / 57
DAILY_CAP | 61
NO_FUNDS / VINTAGE_EXPIRED | 51 / 51
NO_ORIGINAL | 25
OVERLOADED / UNAVAILABLE | 91 / 91
INTERNAL | 96
"""
ROWS = [[cell.strip().split(" / ") for cell in line.split("|")] for line in TABLE.strip().splitlines()]
CODES = [(reason, code) for reasons, codes in ROWS for reason, code in zip(reasons, codes, strict=True)]


@pytest.mark.parametrize(("reason", "code"), CODES)
def test_a_reasons_response_code(reason: str, code: str) -> None:
    assert RESPONSE_CODES[Reason(reason)] == code


def test_the_table_has_every_reason_and_no_other() -> None:
    assert set(RESPONSE_CODES) == set(Reason) == {Reason(reason) for reason, _ in CODES}
