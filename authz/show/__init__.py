"""`authz show`: the whole story of one payment, out of the ledger alone."""
