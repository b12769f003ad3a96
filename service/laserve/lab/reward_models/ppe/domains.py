"""Metrics over all rows and over each domain, and the worst domain."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from laserve.lab.data.row import Row
from laserve.types import Vector

#: Smallest number of domains for which the worst one is reported.
WORST_OF = 3
Scored = Sequence[tuple[Row, Vector]]


def figures(
    scored: Scored,
    measure: Callable[[Scored], Any],
    *,
    metrics: Sequence[str],
    less_is_better: Collection[str],
) -> dict[str, Any]:
    """Figures of one reward model.

    Args:
        scored: rows with their scores; a row may have several domains.
        measure: function that returns a dataclass of metrics.
        metrics: names of the metrics for which the worst domain is reported.
        less_is_better: metrics whose largest value is the worst.

    Returns:
        ``overall``; ``domains`` by name; and ``worst``, by metric, the domain and its value, or None with
        fewer than three domains.
    """
    names = list(dict.fromkeys(domain for row, _ in scored for domain in row.domains))
    domains = {
        name: asdict(measure([(row, scores) for row, scores in scored if name in row.domains]))
        for name in names
    }
    return {
        "overall": asdict(measure(scored)),
        "domains": domains,
        "worst": worst(domains, metrics, less_is_better) if len(domains) >= WORST_OF else None,
    }


def worst(
    domains: Mapping[str, Mapping[str, Any]], metrics: Sequence[str], less_is_better: Collection[str]
) -> dict[str, dict[str, Any]]:
    """For each metric that a domain has, the domain with the worst value."""
    result = {}
    for metric in metrics:
        values = {
            name: value for name, domain in domains.items() if (value := plain(domain[metric])) is not None
        }
        if values:
            name = (max if metric in less_is_better else min)(values, key=lambda name: values[name])
            result[metric] = {"domain": name, "value": values[name]}
    return result


def plain(figure: Any) -> float | None:
    """Value of a metric, with or without an interval."""
    value = figure["value"] if isinstance(figure, Mapping) else figure
    return None if value is None else float(value)
