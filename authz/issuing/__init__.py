"""Issuing: from an employer's order to a card that pays.

Translates between people and commands: what HTTP, files and the clock ask for becomes commands of
`authz.decision.issuing`, which the engine's writers journal. Nothing here writes to the ledger by itself. See
docs/issuing.md.
"""
