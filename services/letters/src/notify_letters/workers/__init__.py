"""Loops of the `work` command."""
