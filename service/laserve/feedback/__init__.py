"""Feedback and default rewards: the rewards of the arms, and the entries in the event log."""
