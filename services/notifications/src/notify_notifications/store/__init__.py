"""Tables and named statements."""
