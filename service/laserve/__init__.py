"""laserve: best-of-n at inference time, with the reward model chosen per request by a contextual bandit.

Importing this package imports nothing heavy; engines and models are loaded where they are used.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
