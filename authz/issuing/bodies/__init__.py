"""What the API takes and gives, as structs, known to both its ends: to the handlers, and to `authz issue`.

A file a resource, called as its handlers' file is. Neither the engine nor an HTTP server is needed to import them.
"""
