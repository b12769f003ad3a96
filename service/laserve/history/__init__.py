"""Offline reading of the log: rows, export, off-policy evaluation, verification."""
