import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from builders import make_candidate, make_candidates, make_request, make_sampling, make_why
from laserve.arms.attempt import Scored
from laserve.errors import NoCandidate
from laserve.eventlog.learner import Draw
from laserve.generation.base import Rendered
from laserve.selection.decision import decide, in_order, shortfalls_of
from laserve.selection.verdict import Verdict
from laserve.types import Candidate, Decision, Request

NAN = math.nan
FAILED = {"loglik": "its circuit is open", "relevance": "no scores within 30 s"}


def decided(
    *candidates: Candidate,
    scored_by: str | None = None,
    by_arm: dict[str, Scored] | None = None,
    failed: dict[str, str] | None = None,
    request: Request | None = None,
) -> Decision:
    request = request or make_request(sampling=make_sampling(n=len(candidates)))
    verdict = Verdict(scored_by=scored_by, by_arm=by_arm or {}, failed=failed or {})
    return decide(
        decision_id="decision-1",
        request=request,
        rendered=Rendered(token_ids=[1, 2, 3], sampling=request.sampling),
        x=np.array([1.0, 0.5]),
        draw=Draw(arm="loglik", propensity=0.75, why=make_why({"loglik": 0.75}), log_position=4),
        verdict=verdict,
        candidates=candidates,
        shortfalls=shortfalls_of(request, verdict, candidates),
    )


def scored(*scores: float, best: int) -> Scored:
    return Scored(scores=np.array(scores), best=best)


# which candidates there are


def test_candidates_are_put_in_the_order_of_their_indices() -> None:
    first, second, third = make_candidates("a", "b", "c")
    assert in_order([third, first, second], make_request()) == (first, second, third)


def test_candidates_of_which_some_are_missing_are_numbered_anew() -> None:
    late = make_candidates(*"abcd")
    found = in_order([late[3], late[1]], make_request())
    assert found == (replace(late[1], index=0), replace(late[3], index=1))


def test_without_a_candidate_there_is_no_decision() -> None:
    with pytest.raises(NoCandidate, match=r"^timeout_s: no candidate finished within 0\.5 s$") as caught:
        in_order([], make_request(timeout_s=0.5))
    assert (caught.value.status, caught.value.param) == (504, "timeout_s")


# which of them goes back


@pytest.mark.parametrize(
    ("logprobs", "tokens", "index"),
    [
        ((-4.0, -2.0, -3.0), (1, 1, 1), 1),
        ((-4.0, -2.0, -3.0), (8, 1, 1), 0),  # per token
        ((-2.0, -2.0, -2.0), (1, 1, 1), 0),  # then the lower index
        ((-4.0, -2.0, -2.0), (1, 1, 1), 1),
        ((0.0, -9.0, -9.5), (0, 1, 1), 1),  # an empty candidate comes last
        ((0.0, 0.0), (0, 0), 0),
    ],
)
def test_without_scores_the_likeliest_per_token_goes_back_then_the_lower_index(
    logprobs: tuple[float, ...], tokens: tuple[int, ...], index: int
) -> None:
    candidates = [
        make_candidate(place, text, logprob=logprob, tokens=count)
        for place, (text, logprob, count) in enumerate(zip("abc", logprobs, tokens, strict=False))
    ]
    decision = decided(*candidates, failed=FAILED)
    assert (decision.index, decision.score, decision.scored_by) == (index, None, None)
    assert (decision.choices, decision.scores) == ({}, {})
    assert not decision.learnable


def test_with_scores_the_choice_of_the_arm_that_scored_goes_back() -> None:
    by_arm = {"loglik": scored(-1.0, -2.0, best=0), "consensus": scored(0.25, 0.5, best=1)}
    decision = decided(*make_candidates("a", "b"), scored_by="consensus", by_arm=by_arm)
    assert (decision.arm, decision.propensity) == ("loglik", 0.75)  # the draw stays what it was
    assert (decision.scored_by, decision.index, decision.score) == ("consensus", 1, 0.5)
    assert decision.choices == {"loglik": 0, "consensus": 1}
    assert decision.scores == {"loglik": (-1.0, -2.0), "consensus": (0.25, 0.5)}
    assert decision.degraded == ()


def test_equal_texts_are_known_by_the_first_of_them() -> None:
    assert decided(*make_candidates("a", "b", "a", "", "b", ""), failed=FAILED).same_text == (
        0,
        1,
        0,
        3,
        1,
        3,
    )


# what fell short


@pytest.mark.parametrize(
    ("verdict", "n", "reasons"),
    [
        (
            {"failed": FAILED},
            2,
            (
                "arm_failed: loglik: its circuit is open",
                "arm_failed: relevance: no scores within 30 s",
                "unscored: every arm failed; best mean log-probability",
            ),
        ),
        (
            {"scored_by": "fake", "by_arm": {"fake": scored(NAN, 0.5, best=1)}},
            2,
            ("non_finite: fake: 1 of 2 candidates",),
        ),
        (
            {
                "scored_by": "fake",
                "by_arm": {"fake": scored(0.1, 0.5, best=1), "loglik": scored(NAN, 1, best=1)},
            },
            2,
            (),
        ),
        (
            {"scored_by": "fake", "by_arm": {"fake": scored(0.1, 0.5, best=1)}},
            5,
            ("timeout: 2 of 5 candidates finished in time",),
        ),
    ],
    ids=["every arm failed", "no finite score", "no finite score of another arm", "out of time"],
)
def test_a_decision_says_what_fell_short(verdict: dict[str, Any], n: int, reasons: tuple[str, ...]) -> None:
    request = make_request(sampling=make_sampling(n=n))
    assert decided(*make_candidates("a", "b"), request=request, **verdict).degraded == reasons
