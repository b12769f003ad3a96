"""Reward models behind a URL: classifiers on a vLLM server, and chat models as judges."""
