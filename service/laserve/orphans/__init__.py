"""The name under which entry points of earlier installations hold `laserve.engines.orphans`."""

from laserve.engines.orphans import end_with_parent

__all__ = ["end_with_parent"]
