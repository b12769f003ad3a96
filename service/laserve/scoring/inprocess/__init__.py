"""Reward models that transformers runs in this process."""
