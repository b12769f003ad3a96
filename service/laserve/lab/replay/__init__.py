"""Replay of policies over a pool from a cold start, and the quality of their answers.

`tabulate` makes arrays of a pool; `Schedule` holds orders and draws; `replay` runs a learner; `Resampled`
gives figures with intervals.
"""
