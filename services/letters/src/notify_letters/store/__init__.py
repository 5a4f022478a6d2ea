"""Tables and named queries of the letters database."""
