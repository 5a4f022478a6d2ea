"""gRPC methods: each a use case of its name; nothing is decided here."""
