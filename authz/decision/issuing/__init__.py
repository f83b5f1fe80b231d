"""What issuing decides: clients and their contracts, orders, cards on their way, what is asked of employers, access.

Pure, as the rest of the core: its commands are journaled, and a replay decides them again. Personal data isn't here: a
person is known by a random-looking id, and their name and e-mail are sealed beside the card vault (docs/security.md).
"""
