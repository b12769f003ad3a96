"""Benchmark of the traffic that a bandit needs before it is better than the best single reward model."""
