"""Old name of `laserve.engines.orphans`, for the entry points of earlier installations."""

from laserve.engines.orphans import end_with_parent

__all__ = ["end_with_parent"]
