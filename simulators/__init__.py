"""The payment hardware, acted: terminals, an acquirer's host, a load generator."""
