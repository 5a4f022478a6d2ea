"""Accepts messages and keeps their state."""
