"""Pages for people, in local and staging environments only."""
