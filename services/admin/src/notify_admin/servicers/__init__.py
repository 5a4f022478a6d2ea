"""Proto messages to use cases and back; they decide nothing."""
