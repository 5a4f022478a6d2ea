"""Pure rules of letters and print runs."""
