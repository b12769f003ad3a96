"""Benchmark of the bandit: speed, and regret in simulated worlds."""
