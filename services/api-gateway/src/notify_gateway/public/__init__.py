"""The v2 API that services use, one resource a file."""
