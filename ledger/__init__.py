"""An append-only, hash-chained double-entry ledger in PostgreSQL. It knows nothing of cards or ISO 8583."""
