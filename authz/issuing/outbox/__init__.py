"""The outbox: e-mails about what was written, found behind the journal and sent at least once. See docs/outbox.md."""
