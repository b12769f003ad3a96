"""Formats of files: bytes to records."""
