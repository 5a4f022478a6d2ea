"""The whole platform on one machine: for development, demonstrations and tests."""
