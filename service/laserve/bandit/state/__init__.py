"""The state of the bandit, folded from events."""
