"""What a report finds, and what its data cannot say."""

import re
from dataclasses import replace

import numpy as np
import pytest

from laserve.lab.pools.pool import Pool
from laserve.lab.report.figures import figures
from laserve.lab.report.findings import Comparison, Finding, findings, verdict
from laserve.lab.report.limits import described, limits
from laserve.lab.report.markdown import markdown
from laserve.lab.report.page import page
from laserve.lab.report.study import Study, run
from laserve.lab.statistics import Interval, mean
from report_pools import POLICY, make_plan, make_report_pool


def by_subject(study: Study) -> dict[str, Finding]:
    """Findings by the first word of their subject."""
    return {finding.about.split()[0]: finding for finding in findings(study)}


def word(one: Comparison) -> str:
    """The verdict without its number of sources."""
    said, _, number = one.verdict.partition(", with ")
    assert number == f"{one.sources} sources"
    return said


def named(finding: Finding, of: str, against: str, over: str = "whole run") -> Comparison:
    (found,) = (
        one
        for one in finding.comparisons
        if one.of == of and one.against.startswith(against) and one.over == over
    )
    return found


def alike(pool: Pool) -> Pool:
    """All arms score as the first does."""
    questions = (
        replace(question, scores=dict.fromkeys(pool.arms, question.scores["short"]))
        for question in pool.questions
    )
    return replace(pool, questions=tuple(questions))


ROOM = "the best arm of each task"
SINGLE = "the best single arm"


def test_the_subjects_stand_in_order(study: Study) -> None:
    assert [finding.about for finding in findings(study)] == [
        "Room for choosing: best single arm against best arm of each task",
        "Learning from every arm's reward on a share of requests",
        "Learning from the answer's own reward",
        "What the context adds",
        "Combining arms",
    ]


@pytest.mark.parametrize(
    ("low", "high", "sources", "says"),
    [
        (0.01, 0.02, 30, "more, with 30 sources"),
        (-0.02, -0.01, 1300, "less, with 1,300 sources"),
        (0.0, 0.0, 2, "equal, with 2 sources"),
        (-0.01, 0.02, 30, "cannot say with 30 sources"),
        (None, None, 3, "cannot say: no interval from 3 sources"),
        (None, None, 1, "cannot say: no interval from 1 source"),
    ],
)
def test_a_verdict_is_what_the_interval_says(
    low: float | None, high: float | None, sources: int, says: str
) -> None:
    assert verdict(Interval(value=0.0, low=low, high=high, sources=sources)) == says


def test_where_arms_differ_by_task_there_is_room_and_a_share_of_it_is_won(study: Study) -> None:
    result = by_subject(study)
    for of, against in ((ROOM, SINGLE), (f"{ROOM}, chosen on other sources", f"{SINGLE}, chosen on other")):
        assert word(named(result["Room"], of, against)) == "more"
    full = findings(study)[1]
    assert word(named(full, "linucb:full", SINGLE, "last third")) == "more"
    assert re.search(r"linucb:full wins \d+% \(-?\d+% to \d+%\) of what", full.says)


def test_the_interval_of_the_room_is_to_the_kept_arms(study: Study) -> None:
    table = study.whole.table
    single = table.rewards[:, table.rewards.mean(axis=0).argmax()]
    of_task = np.zeros(len(table))
    for task in set(table.tasks):
        rows = table.where(task=task)
        of_task[rows] = table.rewards[rows][:, table.rewards[rows].mean(axis=0).argmax()]
    result, expected = named(by_subject(study)["Room"], ROOM, SINGLE), mean(of_task - single, table.sources)
    assert (result.value, result.low, result.high) == (expected.value, expected.low, expected.high)
    assert result.sources == len(set(table.sources))


def test_where_arms_are_alike_there_is_no_room_and_what_limits_it_is_told() -> None:
    result = findings(run(alike(make_report_pool(80)), make_plan(orders=2)))
    room, full = result[0], result[1]
    assert {word(one) for one in room.comparisons} == {"equal"}
    assert "On 100% of the questions all arms' answers are equally good" in room.says
    assert "no room of which linucb:full could win a share" in full.says


def test_a_learner_that_sees_nothing_gains_nothing_by_the_context() -> None:
    blind = replace(make_report_pool(80), recipe=make_report_pool(0).recipe)
    questions = tuple(replace(one, x=np.array([1.0, 0, 0, 0, 0])) for one in blind.questions)
    result = by_subject(run(replace(blind, questions=questions), make_plan(orders=2)))
    assert {word(one) for one in result["What"].comparisons} == {"equal"}
    assert "gains" in result["Room"].says, "what limits it"


def test_each_way_of_learning_is_compared_with_the_best_single_arm(study: Study) -> None:
    for finding, learner in zip(findings(study)[1:3], ("linucb:full", "linucb"), strict=True):
        assert [(one.of, one.over) for one in finding.comparisons] == [
            (learner, "whole run"),
            (learner, "last third"),
        ]
        assert all(one.against.startswith(f"{SINGLE}, ") for one in finding.comparisons)


def test_the_context_is_compared_with_the_bias_alone(study: Study) -> None:
    result = by_subject(study)["What"]
    assert word(named(result, "linucb", "linucb-bias-only")) == "more"
    assert word(named(result, "linucb:full", "linucb-bias-only:full")) == "more"


def test_blend_is_compared_with_the_best_single_arm_and_both_ensembles(study: Study) -> None:
    result = by_subject(study)["Combining"]
    for rival in (SINGLE, "ensemble-mean", "ensemble-rank"):
        assert word(named(result, "blend", rival)) == "more"


def test_blend_is_told_as_an_arm_as_well(study: Study) -> None:
    assert named(by_subject(study)["Combining"], "linucb+blend:full", SINGLE)


def test_one_source_gives_values_without_intervals_and_says_so() -> None:
    questions = tuple(replace(one, source="article") for one in make_report_pool(40).questions)
    study = run(replace(make_report_pool(40), questions=questions), make_plan(orders=1))
    result = findings(study)
    compared = [one for finding in result for one in finding.comparisons]
    assert {(one.low, one.high, one.sources) for one in compared} == {(None, None, 1)}
    assert {one.verdict for one in compared} == {"cannot say: no interval from 1 source"}
    assert "One source alone chooses and values the arm of" in result[0].says
    text = markdown(figures(study))
    assert "(no interval)" in text
    assert "40 questions of 1 source." in text
    assert page(figures(study))


def test_as_an_arm_blend_learns_from_the_shadowed_requests_alone() -> None:
    uniform = POLICY.model_copy(update={"epsilon": 1.0, "epsilon_start": 1.0})
    without = run(make_report_pool(40), make_plan(policy=uniform, shadow_share=0.0)).whole
    (blending,) = (one for one in without.runs if one.name == "linucb+blend:full")
    drawn = blending.picked == blending.arms.index("blend")
    assert drawn.any()
    untaught = without.table.ensemble_mean[without.schedule.orders]
    np.testing.assert_array_equal(blending.rewards[drawn], untaught[drawn])


def test_limits_tell_what_each_task_s_best_arm_gains(study: Study) -> None:
    result = limits(study.whole.table)
    gains = {task: (row["arm"], row["gain"]) for task, row in result["by_task"].items()}
    single = result["best_single"]
    assert sum(gain == 0 for _, gain in gains.values()) >= 1
    assert all(gain >= 0 for _, gain in gains.values())
    assert 0 < result["best_per_question"] <= result["best_candidate"]
    assert f"Against {single}, the best single arm" in described(result)


def test_limits_tell_what_arms_chosen_on_other_sources_gain(study: Study) -> None:
    rows = limits(study.whole.table)["by_task"].values()
    room = named(
        by_subject(study)["Room"], f"{ROOM}, chosen on other sources", f"{SINGLE}, chosen on other sources"
    )
    total = sum(row["questions"] * row["cross_fitted_gain"] for row in rows)
    assert total == pytest.approx(room.value * len(study.whole.table))


@pytest.mark.parametrize("alone", ["single-doc-qa", "harmless"])
def test_a_single_task_has_no_room(alone: str) -> None:
    pool = make_report_pool(80)
    questions = tuple(one for one in pool.questions if one.task == alone)
    result = by_subject(run(replace(pool, questions=questions), make_plan(orders=1)))
    assert {one.value for one in result["Room"].comparisons} == {0.0}
    assert "is the best for every task" in result["Room"].says
