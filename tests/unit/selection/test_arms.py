import asyncio
import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from builders import (
    StubModel,
    UnloadableModel,
    make_candidate,
    make_candidates,
    make_request,
)
from laserve.errors import ArmFailed, ConfigError, InvalidRequest
from laserve.metrics import Metrics
from laserve.selection.arms import Arm, Arms, Scored
from laserve.types import Candidate, Request

NAN = math.nan
REQUEST = make_request()


def arms_of(**models: Any) -> Arms:
    """Ready arms by name."""
    made = [Arm(name=name, model=model, timeout_s=30.0, state="ready") for name, model in models.items()]
    return Arms(made, metrics=Metrics())


async def score(model: Any, *candidates: Candidate) -> Scored:
    return await arms_of(one=model).score("one", REQUEST, candidates)


# equal texts


async def test_equal_texts_are_scored_once() -> None:
    model = StubModel({"a": 1.0, "b": 2.0, "c": 0.0})
    scored = await score(model, *make_candidates("a", "b", "a", "c", "b", "a"))
    (asked,) = model.asked
    assert sorted(asked) == ["a", "b", "c"]
    assert scored.scores.tolist() == [1.0, 2.0, 1.0, 0.0, 2.0, 1.0]


async def test_the_first_of_equal_texts_stands_for_them() -> None:
    class ByIndex(StubModel):
        async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
            return np.array([float(candidate.index) for candidate in candidates])

    scored = await score(ByIndex(), *make_candidates("a", "b", "a", "b"))
    assert scored.scores.tolist() == [0.0, 1.0, 0.0, 1.0]


async def test_an_arm_that_needs_all_gets_equal_texts_too_and_in_order() -> None:
    model = StubModel({"a": 1.0}, needs_all=True)
    await score(model, *make_candidates("a", "b", "a"))
    assert model.asked == [["a", "b", "a"]]


# the best one


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ({"a": 1.0, "b": 2.0, "c": 3.0}, 2),
        ({"a": -1.0, "b": -2.0, "c": -3.0}, 0),
        ({"a": NAN, "b": -5.0, "c": NAN}, 1),
        ({"a": math.inf, "b": 1.0, "c": 0.0}, 1),  # infinite is as little of a score as NaN
        ({"a": 0.0, "b": 1.0, "c": -math.inf}, 1),
    ],
)
async def test_the_highest_finite_score_wins(scores: dict[str, float], best: int) -> None:
    assert (await score(StubModel(scores), *make_candidates("a", "b", "c"))).best == best


@pytest.mark.parametrize(
    ("logprobs", "tokens", "best"),
    [
        ((-4.0, -2.0, -3.0), (1, 1, 1), 1),
        ((-4.0, -2.0, -3.0), (8, 1, 1), 0),  # per token
        ((-2.0, -2.0, -2.0), (1, 1, 1), 0),  # then the lower index
        ((-4.0, -2.0, -2.0), (1, 1, 1), 1),
        ((0.0, -9.0, -9.5), (0, 1, 1), 1),  # an empty candidate comes last
    ],
)
async def test_ties_go_to_the_higher_mean_logprob_then_to_the_lower_index(
    logprobs: tuple[float, ...], tokens: tuple[int, ...], best: int
) -> None:
    candidates = [
        make_candidate(index, text, logprob=logprob, tokens=count)
        for index, (text, logprob, count) in enumerate(zip("abc", logprobs, tokens, strict=True))
    ]
    assert (await score(StubModel({"a": 1.0, "b": 1.0, "c": 1.0}), *candidates)).best == best


async def test_a_tie_break_never_prefers_a_lower_score() -> None:
    candidates = (make_candidate(0, "a", logprob=-9.0), make_candidate(1, "b", logprob=-0.1))
    assert (await score(StubModel({"a": 1.0, "b": 0.5}), *candidates)).best == 0


async def test_scores_that_are_not_finite_are_given_as_none() -> None:
    scored = await score(StubModel({"a": NAN, "b": 2.0, "c": math.inf}), *make_candidates("a", "b", "c"))
    assert scored.values() == (None, 2.0, None)


@pytest.mark.parametrize(
    ("scores", "margin"),
    [([3.0, 1.0, 2.5], 0.5), ([1.0, 1.0], 0.0), ([NAN, 2.0, 5.0], 3.0), ([2.0], None), ([NAN, 2.0], None)],
)
def test_the_margin_is_best_minus_second_best(scores: list[float], margin: float | None) -> None:
    assert Scored(scores=np.array(scores), best=0).margin == margin


# failures cost the arm, not the request


class Hanging(StubModel):
    """Never answers, and tells when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Event()

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
        self.started.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (StubModel({"a": NAN, "b": math.inf}), "gave no finite score"),
        (StubModel(np.zeros(3)), r"gave scores of shape \(3,\) for 2 candidates"),
        (StubModel(np.zeros((2, 1))), r"gave scores of shape \(2, 1\) for 2 candidates"),
        (StubModel(0.5), r"gave scores of shape \(\) for 2 candidates"),
        (StubModel("text"), "ValueError"),
        (StubModel(ArmFailed("out of memory")), "^out of memory$"),
        (StubModel(ZeroDivisionError("a bug")), "^raised ZeroDivisionError$"),
    ],
)
async def test_an_arm_that_cannot_score_fails_alone(model: StubModel, message: str) -> None:
    arms = arms_of(one=model, two=StubModel({"a": 1.0}))
    candidates = make_candidates("a", "b")
    with pytest.raises(ArmFailed, match=message):
        await arms.score("one", REQUEST, candidates)
    assert (await arms.score("two", REQUEST, candidates)).best == 0


async def test_an_arm_that_takes_too_long_fails() -> None:
    arms = Arms([Arm(name="one", model=Hanging(), timeout_s=0.01, state="ready")], metrics=Metrics())
    with pytest.raises(ArmFailed, match=r"^no scores within 0\.01 s$"):
        await arms.score("one", REQUEST, make_candidates("a"))


async def test_a_cancelled_request_is_not_mistaken_for_a_failed_arm() -> None:
    model, metrics = Hanging(), Metrics()
    arms = Arms([Arm(name="one", model=model, timeout_s=30.0, state="ready")], metrics=metrics)
    task = asyncio.create_task(arms.score("one", REQUEST, make_candidates("a")))
    await model.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert metrics.registry.get_sample_value("laserve_rm_failed_total", {"arm": "one"}) is None


@pytest.mark.parametrize(
    ("model", "failed"),
    [
        (StubModel(), 0.0),
        (StubModel(ArmFailed("no")), 1.0),
        (StubModel(KeyError("x")), 1.0),
        (StubModel(np.zeros(9)), 1.0),
    ],
)
async def test_failures_and_seconds_are_counted_by_arm(model: StubModel, failed: float) -> None:
    metrics = Metrics()
    arms = Arms([Arm(name="one", model=model, timeout_s=30.0, state="ready")], metrics=metrics)
    await asyncio.gather(arms.score("one", REQUEST, make_candidates("a")), return_exceptions=True)
    value = metrics.registry.get_sample_value
    assert (value("laserve_rm_failed_total", {"arm": "one"}) or 0.0) == failed
    assert value("laserve_rm_seconds_count", {"arm": "one"}) == 1.0


# loading


def unloaded(**models: Any) -> Arms:
    return Arms(
        [Arm(name=name, model=model, timeout_s=30.0) for name, model in models.items()], metrics=Metrics()
    )


async def test_no_arm_is_ready_before_it_is_loaded() -> None:
    arms = unloaded(one=StubModel(), two=StubModel(free=True))
    assert arms.ready == arms.free == ()
    await arms.load()
    assert arms.ready == ("one", "two")
    assert arms.free == ("two",)


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (UnloadableModel(ArmFailed("no weights")), "no weights"),
        (UnloadableModel(ConfigError("path: nothing there")), "path: nothing there"),
        (StubModel(np.array([1.0, NAN])), "not finite"),  # the self-test has two candidates
        (StubModel(np.zeros(3)), "shape"),
        (StubModel(ArmFailed("told to fail")), "told to fail"),
        # A scorer may raise anything, at its first call as at any other.
        (UnloadableModel(RuntimeError("no driver")), "no driver"),
        (StubModel(RuntimeError("no driver")), "no driver"),
    ],
    ids=["cannot load", "wrong setting", "NaN", "shape", "fails", "load raises", "scoring raises"],
)
async def test_an_arm_that_fails_to_load_is_reported_and_left_out(
    model: Any, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    arms = unloaded(first=StubModel(), broken=model, last=StubModel())
    with caplog.at_level(logging.WARNING):
        await arms.load()

    assert arms.ready == ("first", "last")
    states = {arm.name: (arm.state, arm.error) for arm in arms}
    assert states["first"] == states["last"] == ("ready", None)
    assert states["broken"][0] == "failed"
    assert error in (states["broken"][1] or "")
    assert "broken" in caplog.text
    assert error in caplog.text


async def test_a_failed_arm_cannot_be_asked_for() -> None:
    arms = unloaded(one=StubModel(), broken=UnloadableModel())
    await arms.load()
    arms.check("one")
    for name in ("broken", "nobody"):
        with pytest.raises(InvalidRequest, match=f"no arm '{name}'; ready are: one") as caught:
            arms.check(name)
        assert caught.value.param == "arm"


async def test_closing_closes_every_arm() -> None:
    models = [StubModel(), StubModel()]
    await unloaded(one=models[0], two=models[1]).close()
    assert all(model.closed for model in models)


def test_arms_keep_the_order_of_the_configuration() -> None:
    assert [arm.name for arm in arms_of(z=StubModel(), a=StubModel(), m=StubModel())] == ["z", "a", "m"]
