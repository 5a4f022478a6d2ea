"""What the letters context does, one transaction each."""
