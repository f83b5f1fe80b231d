"""The acquirer's host, between terminals and an authorizer."""
