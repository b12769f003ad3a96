"""Policies over a pool: what they would have answered, from a cold start, and what that is worth.

`tabulate` a pool; `Schedule` orders and draws; `replay` learners; `Resampled` gives figures with intervals.
"""
