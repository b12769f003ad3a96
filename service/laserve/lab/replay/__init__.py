"""Replay of policies over a pool from a cold start, and the quality of their answers.

`tabulate` makes arrays of a pool; `Schedule` holds orders and draws; `replay` runs a learner;
`hindsight` chooses arms with hindsight; `Estimates` gives figures with intervals.
"""
