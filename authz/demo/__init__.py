"""The demo: a lunch of payments over real sockets, and then the books."""
