"""The links that an authorizer has open, as the journal knows them: which were there when, and on what terms."""

from msgspec import Struct

from ledger.values import HolderId


class LinkInForce(Struct, frozen=True, gc=False):
    """A link as it was opened, without its keys. `port` is 0 where any would do; `tls`: whether it is encrypted.

    `open` is False once it has been taken out of the configuration; the rest is then what held last.
    """

    acquirer: str
    host: str
    port: int
    dialect: str
    tls: bool
    sign_on_required: bool
    mac_required: bool
    deadline_s: float
    idle_probe_s: float
    in_flight_max: int
    sign_ons_a_minute: int
    open: bool = True


class ConfigureLink(Struct, frozen=True, tag="link", gc=False):
    """Record that a link is open on these terms from now on, or isn't any more."""

    link: LinkInForce

    @property
    def holder(self) -> HolderId:
        """Whose passbook it is written in."""
        return terms_passbook(self.link.acquirer)


def terms_passbook(acquirer: str) -> HolderId:
    """Name the passbook of a link's terms. Its keys have another."""
    return HolderId(f"{TERMS}:{acquirer}")


TERMS = "terms"
"""How the names of links' passbooks begin."""
