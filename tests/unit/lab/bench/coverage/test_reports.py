"""The simulation of reports: its truths are true, and its figures count what they say."""

import json

import numpy as np
import pytest

from laserve.lab.bench.coverage.questions import MODELS, Qualities, expected_wins, wins_by_source
from laserve.lab.bench.coverage.reports import (
    SOURCES,
    WORLDS,
    Case,
    Outcome,
    count,
    of_world,
    rows_of,
    simulate,
    table,
)
from laserve.lab.reward_models.ppe.rankings import strengths
from laserve.lab.statistics import Interval


def test_the_mean_qualities_are_what_they_are_said_to_be() -> None:
    sums, questions = Qualities(np.array([0.45, 0.35])).sums(np.random.default_rng(0), 20_000)
    assert sums.sum(axis=1) / questions.sum() == pytest.approx([0.45, 0.35], abs=0.01)
    assert questions.mean() == pytest.approx(12, rel=0.05)
    assert np.ptp(questions) > 20


def test_questions_about_one_source_are_correlated() -> None:
    sums, questions = Qualities(np.array([0.45])).sums(np.random.default_rng(0), 20_000)
    means = (sums / questions)[0]
    between = means[questions == 12].var() / 0.43**2
    assert between == pytest.approx(0.2 + 0.8 / 12, abs=0.06)


def test_the_true_strengths_are_those_of_many_comparisons() -> None:
    wins = wins_by_source(np.random.default_rng(0), 40_000).sum(axis=0)
    truth = strengths(expected_wins() * 1e6)
    assert strengths(wins) == pytest.approx(truth, abs=0.06)
    assert np.all(np.diff(truth) > 0)
    assert np.abs(truth).max() < np.abs(MODELS).max(), "what differs by source brings the models together"


def test_figures_count_the_intervals_that_miss_the_truth_on_each_side() -> None:
    case = Case(figure="mean", world="", sources=5, interval="studentised")
    ends = [(0.1, 0.2), (0.4, 0.6), (0.7, 0.8), (None, None)]
    outcomes = [
        Outcome(case=case, intervals=[Interval(value=0.6, low=low, high=high, sources=5)], truths=[0.5])
        for low, high in ends
    ]
    assert rows_of(outcomes) == [
        {
            "figure": "mean",
            "world": "",
            "sources": 5,
            "interval": "studentised",
            "samples": 4,
            "coverage": 0.5,
            "too_low": 0.25,
            "too_high": 0.25,
            "unbounded": 0.25,
            "mean_width": pytest.approx(0.4 / 3),
            "mean_error": pytest.approx(0.1),
        }
    ]
    assert rows_of(outcomes[3:])[0]["mean_width"] is None


def test_every_figure_is_told_for_every_number_of_sources_and_in_every_world() -> None:
    outcomes = list(simulate(samples=2, seed=1))
    assert len(outcomes) == count(2)
    rows = rows_of(outcomes)
    json.dumps(rows, allow_nan=False)
    shown = table(rows)
    assert len({tuple(row[: shown.names]) for row in shown.rows}) == len(rows), "each part of a folded table"
    by_sources = {(row["figure"], row["sources"], row["interval"]) for row in rows if not row["world"]}
    assert by_sources == {
        (figure, sources, interval)
        for figure, intervals in (
            ("mean", ("percentile", "studentised")),
            ("difference", ("percentile", "studentised")),
            ("strength", ("percentile", "t")),
        )
        for interval in intervals
        for sources in SOURCES
    }
    by_world = {(row["figure"], row["world"], row["interval"]) for row in rows if row["world"]}
    assert by_world == {
        (figure, world, interval)
        for figure in ("to best arm", "room")
        for world in WORLDS
        for interval in ("percentile", "studentised", "cross-fitted")
    }
    again = rows_of(list(simulate(samples=2, seed=1)))
    assert again == rows


def test_keeping_the_best_arm_covers_where_choosing_anew_does_not() -> None:
    rows = rows_of(list(of_world("equal", samples=60, seed=0)))
    coverage = {(row["figure"], row["interval"]): row["coverage"] for row in rows}
    for figure in ("to best arm", "room"):
        assert coverage[figure, "percentile"] < 0.8 < coverage[figure, "studentised"]
    errors = {row["interval"]: row["mean_error"] for row in rows if row["figure"] == "to best arm"}
    assert errors["studentised"] < -0.03, "the best of equal arms is overrated"
    assert abs(errors["cross-fitted"]) < 0.03
