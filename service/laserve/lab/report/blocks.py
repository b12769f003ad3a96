"""Figures of all policies over some questions, as JSON values; intervals are ``[low, high]``, or null.

Keys: ``metric``; ``questions`` and ``sources``; ``policies``, by name: the mean quality under the metric's
name, ``ci95``, ``rm_calls``, ``shadow_calls`` and ``free_calls`` (totals of one run),
``difference_to_random``, ``difference_to_best_single``, and ``last_third`` with these keys again;
``best_single`` with its ``arm``; ``best_arm`` with ``arms`` by task; ``best_candidate``; and ``gap``, the
gain of the best arm of each task over the best single arm. These arms are the best ones over all questions of
the block. ``best_single``, ``best_arm`` and ``gap`` have under ``cross_fitted`` the figure with arms chosen
on other sources (`laserve.lab.replay.hindsight`), the first two with ``folds``.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from laserve.lab.replay.estimates import Estimates
from laserve.lab.replay.outcomes import RANDOM, Outcomes, Part
from laserve.lab.replay.table import Mask
from laserve.lab.statistics import Interval
from laserve.types import Vector

#: Name of the figure of a block whose questions have several metrics.
QUALITY = "quality"


def block(outcomes: Outcomes, rows: Mask, metric: str) -> dict[str, Any]:
    """Figures over the questions of a mask, at least one; differences are in the metric's unit, 0..1."""
    whole, late = (Estimates(outcomes, rows, late=late) for late in (False, True))
    in_whole, in_late = (_policies(of, outcomes.names, metric) for of in (whole, late))
    shares = np.where(rows, 1.0, 0.0), np.where(rows, outcomes.late, 0.0)
    policies = {
        policy.name: in_whole[policy.name]
        | _calls(policy.whole, shares[0])
        | {"last_third": in_late[policy.name] | _calls(policy.late, shares[1])}
        for policy in outcomes.policies
    }
    return {
        "metric": metric,
        "questions": whole.questions,
        "sources": whole.sources,
        "policies": policies,
        **_hindsight(whole, late, metric),
    }


def with_interval(estimate: Interval, metric: str) -> dict[str, Any]:
    """An estimate under the metric's name, and its interval."""
    bounded = estimate.low is not None and estimate.high is not None
    return {metric: estimate.value, "ci95": [estimate.low, estimate.high] if bounded else None}


def _policies(of: Estimates, names: tuple[str, ...], metric: str) -> dict[str, dict[str, Any]]:
    qualities = {name: of.quality(name) for name in names}
    values = of.means(qualities)
    to_random = of.differences(qualities, of.quality(RANDOM))
    to_single = of.differences(qualities, of.chosen(of.kept_single))
    return {
        name: with_interval(values[name], metric)
        | {
            "difference_to_random": with_interval(to_random[name], metric),
            "difference_to_best_single": with_interval(to_single[name], metric),
        }
        for name in names
    }


def _calls(part: Part, weights: Vector) -> dict[str, float]:
    return {
        field.name: float(weights @ getattr(part, field.name))
        for field in fields(part)
        if field.name != "reward"
    }


def _hindsight(whole: Estimates, late: Estimates, metric: str) -> dict[str, Any]:
    """Figures of the best candidate and of the arms that are chosen with hindsight."""

    def as_figures(intervals: Mapping[str, Interval]) -> dict[str, dict[str, Any]]:
        return {name: with_interval(one, metric) for name, one in intervals.items()}

    qualities = {
        "single": whole.chosen(whole.kept_single),
        "of_task": whole.chosen(whole.kept_of_task),
        "crossed_single": whole.chosen(whole.crossed_single),
        "crossed_of_task": whole.chosen(whole.crossed_of_task),
        "candidate": whole.table.best_candidate,
    }
    values, last = as_figures(whole.means(qualities)), as_figures(late.means(qualities))
    gap, crossed_gap = (
        as_figures(whole.differences({"gap": qualities[of_task]}, qualities[single]))["gap"]
        for of_task, single in (("of_task", "single"), ("crossed_of_task", "crossed_single"))
    )
    (single_folds,) = whole.crossed_single.folds.values()
    return {
        "best_single": {"arm": whole.best_arm}
        | values["single"]
        | {"last_third": last["single"]}
        | {"cross_fitted": values["crossed_single"] | {"folds": single_folds}},
        "best_arm": {"arms": whole.best_arms}
        | values["of_task"]
        | {"last_third": last["of_task"]}
        | {"cross_fitted": values["crossed_of_task"] | {"folds": whole.crossed_of_task.folds}},
        "best_candidate": values["candidate"],
        "gap": gap | {"cross_fitted": crossed_gap},
    }
