"""The returned candidate, and the shortfalls."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from builders import make_candidate, make_candidates
from laserve.arms.attempt import Scored
from laserve.selection.verdict import Verdict
from laserve.types import Candidate

NAN = math.nan
FAILED = {"loglik": "its circuit is open", "relevance": "no scores within 30 s"}


def made(
    *candidates: Candidate,
    wanted: int | None = None,
    scored_by: str | None = None,
    by_arm: Mapping[str, Scored] | None = None,
    failed: Mapping[str, str] | None = None,
) -> Verdict:
    return Verdict(
        candidates=candidates,
        wanted=len(candidates) if wanted is None else wanted,
        scored_by=scored_by,
        by_arm=by_arm or {},
        failed=failed or {},
    )


def scored(*scores: float, best: int) -> Scored:
    return Scored(scores=np.array(scores), best=best)


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
        make_candidate(index, text, logprob=logprob, tokens=count)
        for index, (text, logprob, count) in enumerate(zip("abc", logprobs, tokens, strict=False))
    ]
    verdict = made(*candidates, failed=FAILED)
    assert (verdict.index, verdict.winner) == (index, None)


@pytest.mark.parametrize(
    ("verdict", "reasons"),
    [
        (
            made(*make_candidates("a", "b"), failed=FAILED),
            (
                "arm_failed: loglik: its circuit is open",
                "arm_failed: relevance: no scores within 30 s",
                "unscored: every arm failed; best mean log-probability",
            ),
        ),
        (
            made(*make_candidates("a", "b"), scored_by="fake", by_arm={"fake": scored(NAN, 0.5, best=1)}),
            ("non_finite: fake: 1 of 2 candidates",),
        ),
        (
            made(
                *make_candidates("a", "b"),
                scored_by="fake",
                by_arm={"fake": scored(0.1, 0.5, best=1), "loglik": scored(NAN, 1, best=1)},
            ),
            (),
        ),
        (
            made(
                *make_candidates("a", "b"),
                wanted=5,
                scored_by="fake",
                by_arm={"fake": scored(0.1, 0.5, best=1)},
            ),
            ("timeout: 2 of 5 candidates finished in time",),
        ),
    ],
    ids=["every arm failed", "no finite score", "no finite score of another arm", "out of time"],
)
def test_a_verdict_says_what_fell_short(verdict: Verdict, reasons: tuple[str, ...]) -> None:
    assert tuple(map(str, verdict.shortfalls)) == reasons
