"""Evaluation of reward models on data with known answers."""
