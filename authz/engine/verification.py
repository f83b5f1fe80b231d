"""Has the security module look at a request's secrets: what comes out is evidence, and holds none of them."""

from authz.decision.commands import PRESENTED
from authz.decision.evidence import Check, Evidence
from authz.engine.cards import KnownCard
from authz.engine.requests import Request
from authz.metrics import Metrics
from authz.security.module import PinFinding, SecurityModule
from ledger.values import EURO


class Verification:
    """Verifies what requests bring, with the keys of the link that they came by."""

    def __init__(self, security: SecurityModule, metrics: Metrics) -> None:
        self._security = security
        self._metrics = metrics

    async def verify(self, request: Request, known: KnownCard | None) -> Evidence:
        """Have the security module look at every secret that the request bears, where a card is presented."""
        secrets, origin = request.secrets, request.command.origin
        ours = origin.acquirer == request.link
        if known is None or not isinstance(request.command, PRESENTED):
            return Evidence(ours=ours)
        pin = cvv2 = arqc = Check.ABSENT
        counter = response = None
        if secrets.pin_block is not None:
            finding = await self._security.verify_pin(
                request.link, secrets.pin_block, secrets.pan, known.check, secrets.key_serial
            )
            pin = Check(finding.value)
            if finding is PinFinding.GARBLED:
                self._metrics.pins_garbled.inc()
        if secrets.cvv2 is not None:
            right = await self._security.verify_cvv2(secrets.pan, known.expiry, secrets.cvv2)
            cvv2 = Check.RIGHT if right else Check.WRONG
        if secrets.chip is not None:
            chip = await self._security.verify_cryptogram(
                secrets.pan, secrets.card_sequence, secrets.chip, origin.amount or "0", origin.currency or str(EURO)
            )
            arqc = Check.RIGHT if chip.right else Check.WRONG
            counter, response = chip.counter, chip.response
        return Evidence(pin, cvv2, arqc, counter, response, ours)
