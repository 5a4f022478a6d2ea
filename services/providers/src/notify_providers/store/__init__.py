"""Tables of this context and its statements, each for up to 500 rows at once."""
