"""Snapshots: hot configuration cached in each process (design.md §3.2)."""
