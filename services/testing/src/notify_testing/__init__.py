"""Real databases, certificates and servers for tests and the local stack; no service imports this package."""
