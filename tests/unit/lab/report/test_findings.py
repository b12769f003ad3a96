"""The five questions of a report, and honest answers to them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from laserve.lab.pools.pool import Pool
from laserve.lab.report.findings import Finding, findings
from laserve.lab.report.limits import described, limits
from laserve.lab.report.margins import margins
from laserve.lab.report.study import Study, run
from report_pools import POLICY, make_plan, make_report_pool


def by_letter(study: Study) -> dict[str, Finding]:
    return {finding.letter: finding for finding in findings(study)}


def alike(pool: Pool) -> Pool:
    """All arms score as the first does."""
    questions = (
        replace(question, scores=dict.fromkeys(pool.arms, question.scores["short"]))
        for question in pool.questions
    )
    return replace(pool, questions=tuple(questions))


def test_all_five_are_asked_in_order(study: Study) -> None:
    assert [finding.letter for finding in findings(study)] == ["a", "b", "c", "d", "e"]


def test_where_arms_differ_by_task_the_gap_is_told_and_shared_out(study: Study) -> None:
    result = by_letter(study)["a"]
    assert result.met is True
    assert "% of the gap" in result.found


def test_where_arms_are_alike_the_gap_is_reported_with_what_limits_it() -> None:
    result = by_letter(run(alike(make_report_pool(80)), make_plan(orders=2)))["a"]
    assert result.met is None
    assert "The gap is +0.0 points" in result.found
    assert "too small" in result.found
    assert "On 100% of the questions all arms' answers are equally good" in result.found


def test_a_learner_that_fails_to_use_the_gap_does_not_hold() -> None:
    blind = replace(make_report_pool(80), recipe=make_report_pool(0).recipe)
    questions = tuple(replace(one, x=np.array([1.0, 0, 0, 0, 0])) for one in blind.questions)
    result = by_letter(run(replace(blind, questions=questions), make_plan(orders=2)))
    assert result["a"].met is False
    assert "gains" in result["a"].found, "what limits it"
    assert result["c"].met is False


def test_the_context_is_compared_with_the_bias_alone(study: Study) -> None:
    result = by_letter(study)["c"]
    assert result.met is True
    assert "linucb:full" in result.found


def test_blend_is_compared_with_the_best_single_arm_and_both_ensembles(study: Study) -> None:
    result = by_letter(study)["d"]
    assert result.met is True
    assert all(name in result.found for name in ("best single arm", "ensemble-mean", "ensemble-rank"))


def test_blend_is_told_as_an_arm_as_well(study: Study) -> None:
    assert "As one of its arms, linucb+blend:full differs from" in by_letter(study)["d"].found


def test_as_an_arm_blend_learns_from_the_shadowed_requests_alone() -> None:
    uniform = POLICY.model_copy(update={"epsilon": 1.0, "epsilon_start": 1.0})
    without = run(make_report_pool(40), make_plan(policy=uniform, shadow_share=0.0)).whole
    (blending,) = (one for one in without.runs if one.name == "linucb+blend:full")
    drawn = blending.picked == blending.arms.index("blend")
    assert drawn.any()
    untaught = without.table.ensemble_mean[without.schedule.orders]
    np.testing.assert_array_equal(blending.rewards[drawn], untaught[drawn])


def test_laser_s_margins_stand_beside_ours_with_and_without_the_weakest_arm(study: Study) -> None:
    result = margins(study)
    assert result["weakest"] == "lost"
    assert {task: row["laser"] for task, row in result["tasks"].items()} == {
        "single-doc-qa": 2.64,
        "multi-doc-qa": 2.42,
    }
    for row in result["tasks"].values():
        assert set(row["ours"]) >= {"linucb", "linucb:full"}
        assert row["without_weakest"]["linucb:full"]["f1"] < row["ours"]["linucb:full"]["f1"]
    letter = by_letter(study)["e"]
    assert letter.met is None
    assert "LASeR +2.64" in letter.found
    assert "without lost" in letter.found


def test_limits_tell_what_each_task_s_best_arm_gains(study: Study) -> None:
    result = limits(study.whole.table)
    gains = {task: (row["arm"], row["gain"]) for task, row in result["by_task"].items()}
    single = result["best_single"]
    assert sum(gain == 0 for _, gain in gains.values()) >= 1
    assert all(gain >= 0 for _, gain in gains.values())
    assert 0 < result["best_per_question"] <= result["best_candidate"]
    assert f"Against {single}, the best single arm" in described(result)


@pytest.mark.parametrize("alone", ["single-doc-qa", "harmless"])
def test_a_single_task_has_no_gap(alone: str) -> None:
    pool = make_report_pool(80)
    questions = tuple(one for one in pool.questions if one.task == alone)
    result: dict[str, Any] = by_letter(run(replace(pool, questions=questions), make_plan(orders=1)))
    assert result["a"].met is None
    assert "is the best for every task" in result["a"].found
