"""How much the engine takes on: every bound of its memory, its batches and its patience, in one value."""

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of one engine. `passbooks_max` and `remembered_max` are shared out among its partitions.

    `requests_max` counts requests between their arrival and their answer. Where `standing_max` of them stand for longer
    than `patience_ms`, links are held to a share of so many until `calm_max` are left. `batch_records_max` counts the
    records of one append, `remembered_max` the requests whose answers are kept in memory. After `silence_max_ms`
    without an acknowledgement a session is cut; a writer that has nothing to append shows every `beat_every_ms` that it
    lives.
    """

    requests_max: int = 4_096
    standing_max: int = 512
    patience_ms: int = 500
    calm_max: int = 64
    batch_records_max: int = 256
    passbooks_max: int = 100_000
    remembered_max: int = 65_536
    silence_max_ms: int = 2_000
    beat_every_ms: int = 500
