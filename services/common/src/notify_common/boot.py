"""What keeps a process from starting, apart from its settings."""


class BootError(Exception):
    """The process can't start; the message is one sentence for the person who started it."""
