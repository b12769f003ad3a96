"""Reward models on pooling engines of vLLM."""
