"""Reward models behind a URL: on a vLLM server, or a chat model as judge."""
