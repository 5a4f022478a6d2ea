"""Calls of providers: wrapped and passed on, never read here."""
