"""Celery tasks: each takes a batch's id and calls its use case."""
