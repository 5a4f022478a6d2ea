"""Feeds: news between contexts, applied exactly once (design.md §3.4)."""
