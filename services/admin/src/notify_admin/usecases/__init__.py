"""What the context does: one transaction each."""
