"""What the service does: one function or class a purpose."""
