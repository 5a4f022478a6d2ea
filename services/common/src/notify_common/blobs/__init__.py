"""Blobs: objects in any S3-compatible store."""
