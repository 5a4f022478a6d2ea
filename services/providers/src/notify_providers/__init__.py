"""Hands messages to providers and records their receipts."""
