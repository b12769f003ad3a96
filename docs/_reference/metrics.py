"""The page of the metrics."""

from collections.abc import Iterator

from prometheus_client.metrics import MetricWrapperBase

from _reference.tables import code, number, table
from laserve.metrics import Metrics

INTRO = """# Metrics

`GET /metrics` answers in Prometheus text. It needs no API key. Metrics of the Python process and of vLLM
(`vllm:...`) stand beside those of laserve. A gauge without a value, such as the mean of an arm that nothing
is known of, is absent. [Monitor](../how-to/monitor.md) says how to scrape, draw and alert on them.

A histogram `NAME` is read as `NAME_bucket`, `NAME_sum` and `NAME_count`.

"""


def page() -> str:
    metrics = list(_metrics())
    rows = [
        [
            f"{code(_name(metric))}<br>{metric._type}{_labels(metric)}",
            metric._documentation,
        ]
        for metric in metrics
    ]
    buckets = [
        [code(metric._name), ", ".join(number(bound) for bound in metric._kwargs["buckets"])]
        for metric in metrics
        if metric._type == "histogram"
    ]
    return (
        INTRO
        + table(["metric, type and labels", "what"], rows)
        + "\n## Buckets\n\nUpper bounds of the histograms' buckets; each has `+Inf` as well.\n\n"
        + table(["histogram", "buckets"], buckets)
    )


def _metrics() -> Iterator[MetricWrapperBase]:
    """The metrics of laserve in the order of their declarations."""
    for collector in Metrics().registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            yield collector


def _name(metric: MetricWrapperBase) -> str:
    return metric._name + "_total" * (metric._type == "counter")


def _labels(metric: MetricWrapperBase) -> str:
    return ": " + ", ".join(map(code, metric._labelnames)) if metric._labelnames else ""
