"""International bank account numbers (ISO 13616): their form and their check digits."""

import re

_FORM = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


def is_iban(text: str) -> bool:
    """Tell whether a text, without spaces, is an IBAN: its form, and what is left of it modulo 97 (ISO 7064) is 1.

    >>> is_iban("FR1420041010050500013M02606"), is_iban("FR1420041010050500013M02607")
    (True, False)
    """
    if not _FORM.fullmatch(text):
        return False
    return int("".join(str(int(one, 36)) for one in text[4:] + text[:4])) % 97 == 1


def with_check_digits(country: str, account: str) -> str:
    """Write the IBAN of an account in a country.

    >>> with_check_digits("BE", "539007547034")
    'BE68539007547034'
    """
    number = int("".join(str(int(one, 36)) for one in f"{account}{country}00"))
    return f"{country}{98 - number % 97:02}{account}"
