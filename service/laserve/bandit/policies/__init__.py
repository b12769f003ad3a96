"""Policies: from what was learned to the probability of each arm."""
