"""Feedback and default rewards: what they say of each arm, and their entries in the event log."""
