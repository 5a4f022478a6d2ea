"""Providers: how a message is handed to each of them."""
