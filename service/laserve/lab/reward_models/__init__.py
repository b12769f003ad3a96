"""Reward models measured on data with known answers."""
