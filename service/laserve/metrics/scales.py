"""Bounds of histogram buckets that several metrics share, and a gauge that may have no value."""

from collections.abc import Iterable

from prometheus_client import Gauge, Metric

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)
#: Tenths of the unit interval, for probabilities and rewards.
UNIT = tuple(step / 10 for step in range(1, 11))


class OptionalGauge(Gauge):
    """A gauge without labels that has no sample while its value is unknown; a plain one would show 0."""

    known = False

    def publish(self, value: float | None) -> None:
        """Set the value, or remove the sample."""
        self.known = value is not None
        self.set(value or 0.0)

    def collect(self) -> Iterable[Metric]:
        """The family, without a sample while the value is unknown."""
        families = list(super().collect())
        if not self.known:
            for family in families:
                family.samples = []
        return families
