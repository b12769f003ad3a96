"""Shapes whose records hold answers that people or models compared or rated."""
