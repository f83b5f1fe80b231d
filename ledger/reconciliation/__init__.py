"""Finance's reconciliation: what the ledger says, what each acquirer says and what the bank says, matched."""
