"""Benchmark of scoring: a prompt computed once, or for each candidate."""
