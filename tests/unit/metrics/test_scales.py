"""A gauge that may have no value."""

from prometheus_client import CollectorRegistry, generate_latest

from laserve.metrics.scales import OptionalGauge


def test_it_has_no_sample_until_its_value_is_known_and_after_it_is_lost() -> None:
    registry = CollectorRegistry()
    gauge = OptionalGauge("age", "The age.", registry=registry)
    described = "# HELP age The age.\n# TYPE age gauge\n"
    assert generate_latest(registry).decode() == described
    for value, sample in ((2.5, "age 2.5\n"), (0.0, "age 0.0\n"), (None, ""), (1.0, "age 1.0\n")):
        gauge.publish(value)
        assert generate_latest(registry).decode() == described + sample
