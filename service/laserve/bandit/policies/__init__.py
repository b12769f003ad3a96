"""Policies: from the learned state to the probability of each arm."""
