"""Loops that run beside the server: relay, feed consumers, housekeeping."""
