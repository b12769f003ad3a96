"""The decision on a request, and its metrics."""

from typing import Any

import numpy as np
import pytest

from builders import make_candidates, make_decision, make_request, make_sampling, make_why
from laserve.arms.attempt import Scored
from laserve.eventlog.learner import Draw
from laserve.generation.base import Rendered
from laserve.metrics import Metrics
from laserve.selection.decision import Observer, Window, decide
from laserve.selection.verdict import Verdict
from laserve.types import Decision, Request

FAILED = {"loglik": "its circuit is open", "relevance": "no scores within 30 s"}


def make_draw(**changes: Any) -> Draw:
    given: dict[str, Any] = {
        "decision_id": "decision-1",
        "seed": 0,
        "arm": "loglik",
        "propensity": 0.75,
        "why": make_why({"loglik": 0.75}),
        "log_position": 4,
    }
    return Draw(**(given | changes))


def decided(
    *texts: str,
    scored_by: str | None = None,
    by_arm: dict[str, Scored] | None = None,
    failed: dict[str, str] | None = None,
    request: Request | None = None,
    **changes: Any,
) -> Decision:
    request = request or make_request(sampling=make_sampling(n=len(texts)))
    verdict = Verdict(
        candidates=make_candidates(*texts),
        wanted=request.sampling.n,
        scored_by=scored_by,
        by_arm=by_arm or {},
        failed=failed or {},
    )
    given: dict[str, Any] = {
        "key": "a key",
        "policy": "linucb",
        "rendered": Rendered(token_ids=[1, 2, 3], sampling=request.sampling),
        "x": np.array([1.0, 0.5]),
        "draw": make_draw(),
        "verdict": verdict,
        "window": Window(),
        "shadowed": False,
        "timings": {"score": 0.25},
    }
    return decide(request, **(given | changes))


def scored(*scores: float, best: int) -> Scored:
    return Scored(scores=np.array(scores), best=best)


BY_ONE = {"scored_by": "loglik", "by_arm": {"loglik": scored(-1.0, -2.0, best=0)}}

# which candidate goes back


def test_without_scores_no_arm_has_chosen_and_the_decision_cannot_teach() -> None:
    decision = decided("a", "b", failed=FAILED)
    assert (decision.index, decision.score, decision.scored_by) == (0, None, None)
    assert (decision.choices, decision.scores) == ({}, {})
    assert not decision.learnable


def test_with_scores_the_choice_of_the_arm_that_scored_goes_back() -> None:
    by_arm = {"loglik": scored(-1.0, -2.0, best=0), "consensus": scored(0.25, 0.5, best=1)}
    decision = decided("a", "b", scored_by="consensus", by_arm=by_arm)
    assert (decision.arm, decision.propensity) == ("loglik", 0.75)  # the draw stays what it was
    assert (decision.scored_by, decision.index, decision.score) == ("consensus", 1, 0.5)
    assert decision.choices == {"loglik": 0, "consensus": 1}
    assert decision.scores == {"loglik": (-1.0, -2.0), "consensus": (0.25, 0.5)}
    assert decision.degraded == ()


def test_equal_texts_are_known_by_the_first_of_them() -> None:
    assert decided("a", "b", "a", "", "b", "", failed=FAILED).same_text == (0, 1, 0, 3, 1, 3)


def test_a_decision_says_what_fell_short() -> None:
    request = make_request(sampling=make_sampling(n=5))
    decision = decided("a", "b", request=request, failed={"relevance": "it is cold"}, **BY_ONE)
    assert decision.degraded == (
        "arm_failed: relevance: it is cold",
        "timeout: 2 of 5 candidates finished in time",
    )


# who decided


def test_a_decision_is_whole_once_its_candidates_are_scored() -> None:
    decision = decided("a", "b", **BY_ONE)
    assert (decision.id, decision.key, decision.policy) == ("decision-1", "a key", "linucb")
    assert decision.timings == {"score": 0.25}


def test_timings_that_go_on_do_not_change_the_decision() -> None:
    timings = {"score": 0.25}
    decision = decided("a", timings=timings)
    timings["store"] = 0.5
    assert decision.timings == {"score": 0.25}


def test_where_the_request_names_the_arm_the_policy_is_called_pinned() -> None:
    assert decided("a", request=make_request(arm="loglik")).policy == "pinned"


@pytest.mark.parametrize(("propensity", "shadowed"), [(0.75, True), (None, False)])
def test_only_a_request_whose_arm_was_drawn_is_shadowed(propensity: float | None, shadowed: bool) -> None:
    assert decided("a", shadowed=True, draw=make_draw(propensity=propensity)).shadowed is shadowed


# the window for feedback


def test_without_a_window_feedback_is_never_late_and_nothing_is_due() -> None:
    decision = decided("a", "b", window=Window(default_reward=0.5), **BY_ONE)
    assert (decision.closes_at, decision.default_reward, decision.due_at) == (None, None, None)


def test_a_window_closes_so_many_seconds_after_the_decision() -> None:
    decision = decided("a", "b", window=Window(wait_s=60.0), **BY_ONE)
    assert decision.closes_at == decision.created_at + 60.0
    assert (decision.default_reward, decision.due_at) == (None, None)


def test_a_default_is_due_as_the_window_closes() -> None:
    decision = decided("a", "b", window=Window(wait_s=60.0, default_reward=0.0), **BY_ONE)
    assert decision.default_reward == 0.0
    assert decision.due_at == decision.closes_at == decision.created_at + 60.0


@pytest.mark.parametrize(
    "change", [BY_ONE | {"draw": make_draw(propensity=None)}, {"failed": FAILED}], ids=["pinned", "unscored"]
)
def test_a_decision_that_cannot_teach_has_a_window_and_no_default(change: dict[str, Any]) -> None:
    decision = decided("a", "b", window=Window(wait_s=60.0, default_reward=0.5), **change)
    assert decision.closes_at == decision.created_at + 60.0
    assert (decision.learnable, decision.default_reward, decision.due_at) == (False, None, None)


# what the metrics count of it


def test_a_shortfall_is_counted_by_its_reason_whatever_its_text_says() -> None:
    metrics = Metrics()
    Observer(metrics, tasks=()).decided(
        make_decision(scored_by=None, propensity=None, degraded=("a text: of any form",)),
        make_draw(propensity=None, why=()),
        Verdict(
            candidates=make_candidates("a"),
            wanted=1,
            scored_by=None,
            by_arm={},
            failed={"loglik": "timeout: no answer"},
        ),
    )
    counted = {
        sample.labels["reason"]: sample.value
        for family in metrics.degraded.collect()
        for sample in family.samples
        if sample.name == "laserve_degraded_total" and sample.value
    }
    assert counted == {"arm_failed": 1, "unscored": 1}
