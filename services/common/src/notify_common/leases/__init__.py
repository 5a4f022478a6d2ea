"""Leased rows: tables that are work queues (design.md §3.3)."""
