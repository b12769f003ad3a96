"""Pools: requests with the candidates and scores of every arm."""
