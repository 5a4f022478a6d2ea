"""Outgoing calls and what is cached of their answers."""
