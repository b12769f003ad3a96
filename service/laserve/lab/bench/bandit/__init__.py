"""Policies in simulated worlds."""
