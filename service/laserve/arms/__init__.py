"""Reward models as the service holds them: states, attempts, and changes at run time."""
