"""Figures of all policies over some questions, as JSON values; intervals are ``[low, high]``.

Keys: ``metric``; ``questions`` and ``sources``; ``policies``, by name: the mean quality under the metric's
name, ``ci95``, ``rm_calls``, ``shadow_calls`` and ``free_calls`` (totals of one run),
``difference_to_random``, ``difference_to_best_single``, and ``last_third`` with these keys again;
``best_single`` with its ``arm``; ``best_arm`` with ``arms`` by task; ``best_candidate``; and ``gap``, the
gain of the best arm of each task over the best single arm.
"""

from dataclasses import fields
from typing import Any

import numpy as np

from laserve.lab.replay.outcomes import RANDOM, Outcomes, Part
from laserve.lab.replay.resampled import Resampled
from laserve.lab.replay.table import Mask
from laserve.lab.statistics import interval
from laserve.types import Vector

#: Name of the figure of a block whose questions have several metrics.
QUALITY = "quality"


def block(outcomes: Outcomes, rows: Mask, metric: str) -> dict[str, Any]:
    """Figures over the questions of a mask, at least one; differences are in the metric's unit, 0..1."""
    whole, late = (Resampled(outcomes, rows, late=late) for late in (False, True))
    shares = np.where(rows, 1.0, 0.0), np.where(rows, outcomes.late, 0.0)
    policies = {
        policy.name: _policy(whole, policy.name, metric, policy.whole, shares[0])
        | {"last_third": _policy(late, policy.name, metric, policy.late, shares[1])}
        for policy in outcomes.policies
    }
    singles = whole.singles()[:, 0]
    return {
        "metric": metric,
        "questions": whole.questions,
        "sources": whole.sources,
        "policies": policies,
        "best_single": {"arm": whole.arms[int(singles.argmax())]}
        | with_interval(whole.best_single(), metric)
        | {"last_third": with_interval(late.best_single(), metric)},
        "best_arm": {"arms": whole.best_arms()}
        | with_interval(whole.best_arm(), metric)
        | {"last_third": with_interval(late.best_arm(), metric)},
        "best_candidate": with_interval(whole.best_candidate(), metric),
        "gap": with_interval(whole.best_arm() - whole.best_single(), metric),
    }


def with_interval(values: Vector, metric: str) -> dict[str, Any]:
    """An estimate under the metric's name, and its interval.

    Args:
        values: estimates as `Resampled` returns them.
    """
    estimate = interval(values)
    return {metric: estimate.value, "ci95": [estimate.low, estimate.high]}


def _policy(of: Resampled, name: str, metric: str, part: Part, weights: Vector) -> dict[str, Any]:
    value = of.value(name)
    calls = {
        field.name: float(weights @ getattr(part, field.name))
        for field in fields(part)
        if field.name != "reward"
    }
    return (
        with_interval(value, metric)
        | calls
        | {
            "difference_to_random": with_interval(value - of.value(RANDOM), metric),
            "difference_to_best_single": with_interval(value - of.best_single(), metric),
        }
    )
