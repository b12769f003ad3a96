"""The log afterwards: its rows, their export, off-policy evaluation, verification."""
