"""Letters from template to print run."""
