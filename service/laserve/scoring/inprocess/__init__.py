"""Reward models in this process, with transformers."""
