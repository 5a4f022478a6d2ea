"""Calls to other contexts, and the way to Celery's workers."""
