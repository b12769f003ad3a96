"""Figures of all rows, of each domain, and of the worst."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from builders import make_row
from laserve.lab.reward_models.ppe.domains import Scored, figures
from laserve.lab.statistics import Interval


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The mean of the first scores, with what a metric may look like."""

    high: Interval
    low: float
    absent: float | None


def measure(scored: Scored) -> Measured:
    value = float(np.mean([scores[0] for _, scores in scored]))
    return Measured(high=Interval(value=value, low=value, high=value, sources=1), low=value, absent=None)


def figures_of(**domains: list[float]) -> dict[str, Any]:
    scored = [
        (make_row(1.0, domains=() if name == "none" else tuple(name.split("_"))), np.array([score]))
        for name, scores in domains.items()
        for score in scores
    ]
    return figures(scored, measure, metrics=("high", "low", "absent"), less_is_better={"low"})


def test_each_domain_is_measured_on_its_own_rows_and_all_rows_together() -> None:
    result = figures_of(math=[1.0, 2.0], code=[6.0])
    assert result["overall"]["low"] == 3.0
    assert {name: domain["low"] for name, domain in result["domains"].items()} == {"math": 1.5, "code": 6.0}


def test_a_row_counts_for_each_of_its_domains() -> None:
    result = figures_of(math_code=[1.0], code=[3.0])
    assert {name: domain["low"] for name, domain in result["domains"].items()} == {"math": 1.0, "code": 2.0}


def test_from_three_domains_on_the_worst_is_told_in_each_metric_s_own_direction() -> None:
    assert figures_of(math=[1.0], code=[2.0])["worst"] is None
    worst = figures_of(math=[1.0], code=[2.0], chat=[3.0])["worst"]
    assert worst == {"high": {"domain": "math", "value": 1.0}, "low": {"domain": "chat", "value": 3.0}}


def test_a_row_without_a_domain_counts_overall_alone() -> None:
    result = figures_of(none=[1.0], math=[3.0])
    assert result["overall"]["low"] == 2.0
    assert list(result["domains"]) == ["math"]
