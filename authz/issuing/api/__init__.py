"""Issuing over HTTP: JSON under /v1, a bearer token per caller, an idempotency key per write, problem details.

A file a resource. Each turns requests into calls of a desk, and what the desk says into views: what a caller sees of a
thing is written down in `authz.issuing.bodies`, apart from what the ledger keeps of it. See docs/issuing.md.
"""
