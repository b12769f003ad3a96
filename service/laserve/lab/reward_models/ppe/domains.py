"""The same metrics over all rows, over each domain, and the worst of the domains."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from laserve.lab.data.labelled import Row
from laserve.types import Vector

#: Domains from which on the worst one is told.
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
        measure: makes a dataclass of metrics.
        metrics: names of those fields of it of which the worst domain is told.
        less_is_better: those of them of which the largest is the worst.

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
    """For each metric that some domain has, the domain where it is worst."""
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
    """The value of a metric, whether or not it comes with an interval."""
    value = figure["value"] if isinstance(figure, Mapping) else figure
    return None if value is None else float(value)
