"""What a record holds as its request and its reply, as JSON."""

import msgspec
from msgspec import Struct

from authz.decision.commands import Command
from authz.decision.evidence import Evidence
from authz.decision.outcomes import Reply


class Inputs(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a record holds as its request: every input of the decision but instant and epoch, which it holds itself.

    `used` are the seqs of the records it rested on: the holder's previous, the merchant's, the employer's, the
    programme's; `trail` those of the records that say what stood of its original. `by`, which no decision reads, is for
    audits.
    """

    command: Command
    evidence: Evidence
    used: tuple[int, ...]
    trail: tuple[int, ...] = ()
    by: str = ""


encode_json = msgspec.json.Encoder().encode
decode_inputs = msgspec.json.Decoder(Inputs).decode
decode_reply = msgspec.json.Decoder(Reply).decode
