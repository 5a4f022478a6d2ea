"""What this context does, one transaction each unless the docstring says otherwise."""
