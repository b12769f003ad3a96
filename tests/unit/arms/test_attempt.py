"""One arm's attempt at one request, read ahead or at the end."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import StubModel, make_arm, make_candidates, make_request
from laserve.arms.arm import Arm
from laserve.arms.attempt import Attempt, Scored
from laserve.errors import ArmFailed, Unscorable
from laserve.metrics import Metrics
from laserve.scoring.base import Reading
from laserve.types import Candidate, Request

REQUEST = make_request()
CANDIDATES = make_candidates("a", "b", "a", "c")
SCORES = {"a": 1.0, "b": 3.0, "c": 2.0}


class Ahead(StubModel):
    """Reads prompts ahead, and answers when the test lets it."""

    def __init__(self, scores: Any = None, *, truncated: bool = False, **flags: bool) -> None:
        super().__init__(SCORES if scores is None else scores, **flags)
        self.prefilled: list[Request] = []
        self.cut = truncated
        self.go = asyncio.Event()
        self.go.set()
        self.cancelled = 0

    async def prefill(self, request: Request) -> None:
        self.prefilled.append(request)
        await self._wait()

    def truncated(self, request: Request) -> bool:
        return self.cut and request in self.prefilled

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
        scores = await super().score(request, candidates)
        await self._wait()
        return scores

    async def _wait(self) -> None:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def attempt_of(
    arm: Arm, metrics: Metrics | None = None, on_open: Callable[[Arm], None] = lambda arm: None
) -> Attempt:
    return Attempt(arm, REQUEST, metrics=metrics or Metrics(), on_open=on_open)


async def steps() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_read_ahead_is_scored_as_it_finishes_and_once() -> None:
    model = Ahead()
    attempt = attempt_of(make_arm("one", model))
    attempt.begin()
    await steps()
    assert model.prefilled == [REQUEST]
    for candidate in CANDIDATES:
        attempt.add(candidate)
        await steps()
    assert model.asked == [["a"], ["b"], ["c"]]
    scored = await attempt.result(CANDIDATES)
    assert scored.scores.tolist() == [1.0, 3.0, 1.0, 2.0]
    assert scored.best == 1
    assert len(model.asked) == 3


async def test_without_reading_ahead_all_is_asked_at_the_end_and_at_once() -> None:
    model = Ahead()
    attempt = attempt_of(make_arm("one", model))
    for candidate in CANDIDATES:
        attempt.add(candidate)
    await steps()
    assert (model.prefilled, model.asked) == ([], [])
    assert (await attempt.result(CANDIDATES)).scores.tolist() == [1.0, 3.0, 1.0, 2.0]
    assert [sorted(texts) for texts in model.asked] == [["a", "b", "c"]]


@pytest.mark.parametrize(
    "model",
    [StubModel(SCORES), StubModel(SCORES, needs_all=True), Ahead(needs_all=True)],
    ids=["reads nothing ahead", "needs all", "reads ahead but needs all"],
)
async def test_a_model_that_cannot_read_ahead_is_asked_at_the_end(model: StubModel) -> None:
    attempt = attempt_of(make_arm("one", model))
    attempt.begin()
    assert not attempt.overlapping
    attempt.add(CANDIDATES[0])
    await steps()
    assert model.asked == []
    assert (await attempt.result(CANDIDATES)).best == 1


@given(
    texts=st.lists(st.sampled_from("abcd"), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
    missed=st.integers(0, 3),
    bad=st.sampled_from(["", "a", "b", "ab"]),
)
def test_scores_are_the_same_whichever_way(texts: list[str], order: Any, missed: int, bad: str) -> None:
    scores = {text: math.nan if text in bad else float(ord(text)) for text in "abcd"}
    candidates = make_candidates(*texts)

    async def ask(ahead: bool) -> Any:
        attempt = attempt_of(make_arm("one", Ahead(scores)))
        if ahead:
            attempt.begin()
        finished = list(candidates)
        order.shuffle(finished)
        for candidate in finished[missed:]:
            attempt.add(candidate)
            await asyncio.sleep(0)
        try:
            scored = await attempt.result(candidates)
        except ArmFailed as error:
            return error.message
        return [str(score) for score in scored.scores], scored.best

    assert asyncio.run(ask(ahead=True)) == asyncio.run(ask(ahead=False))


async def test_what_was_spent_during_generation_does_not_count_against_the_timeout() -> None:
    model = Ahead()
    model.go.clear()
    attempt = attempt_of(make_arm("one", model, timeout_s=0.4))
    attempt.begin()
    attempt.add(CANDIDATES[0])
    await asyncio.sleep(0.5)
    asyncio.get_running_loop().call_later(0.01, model.go.set)
    assert (await attempt.result(CANDIDATES)).best == 1


async def test_from_the_last_candidate_on_the_timeout_counts() -> None:
    model, metrics = Ahead(), Metrics()
    model.go.clear()
    attempt = attempt_of(make_arm("one", model, timeout_s=0.02), metrics)
    attempt.begin()
    attempt.add(CANDIDATES[0])
    with pytest.raises(ArmFailed, match=r"^no scores within 0\.02 s$"):
        await attempt.result(CANDIDATES)
    await steps()
    assert model.cancelled == 4  # the prompt and each text
    assert metrics.registry.get_sample_value("laserve_rm_failed_total", {"arm": "one"}) == 1


@pytest.mark.parametrize("waited_for", [False, True])
async def test_giving_up_gives_up_all_that_is_under_way(waited_for: bool) -> None:
    model, metrics = Ahead(), Metrics()
    model.go.clear()
    arm = make_arm("one", model, failures=1)
    attempt = attempt_of(arm, metrics)
    attempt.begin()
    attempt.add(CANDIDATES[0])
    await steps()
    if waited_for:
        task = asyncio.create_task(attempt.result(CANDIDATES[:1]))
        await steps()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    attempt.close()
    await steps()
    assert model.cancelled == 2
    assert len(asyncio.all_tasks()) == 1
    assert arm.circuit.state == "closed"
    assert metrics.registry.get_sample_value("laserve_rm_failed_total", {"arm": "one"}) is None


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (ArmFailed("out of memory"), "out of memory"),
        (ZeroDivisionError("a bug"), "raised ZeroDivisionError"),
        (np.zeros(3), "gave scores of shape"),
        ({"a": math.nan, "b": math.nan, "c": math.inf}, "gave no finite score"),
    ],
)
@pytest.mark.parametrize("ahead", [False, True])
async def test_a_failure_counts_once_whichever_way(scores: Any, message: str, ahead: bool) -> None:
    opened: list[str] = []
    metrics = Metrics()
    arm = make_arm("one", Ahead(scores), failures=2)
    for number in (1, 2):
        attempt = attempt_of(arm, metrics, lambda arm: opened.append(arm.name))
        if ahead:
            attempt.begin()
            for candidate in CANDIDATES[:2]:
                attempt.add(candidate)
        await steps()
        with pytest.raises(ArmFailed, match=message):
            await attempt.result(CANDIDATES[:2])
        attempt.close()
        assert metrics.registry.get_sample_value("laserve_rm_failed_total", {"arm": "one"}) == number
    assert (arm.circuit.state, opened) == ("open", ["one"])


@pytest.mark.parametrize("ahead", [False, True])
async def test_a_request_that_is_not_for_the_model_fails_it_there_and_opens_no_circuit(ahead: bool) -> None:
    metrics = Metrics()
    arm = make_arm("one", Ahead(Unscorable("9 tokens too long")), failures=1)
    for _ in range(3):
        attempt = attempt_of(arm, metrics)
        if ahead:
            attempt.begin()
            attempt.add(CANDIDATES[0])
        with pytest.raises(ArmFailed, match=r"^9 tokens too long$"):
            await attempt.result(CANDIDATES)
    assert (arm.state, arm.error) == ("ready", None)
    assert metrics.registry.get_sample_value("laserve_rm_failed_total", {"arm": "one"}) == 3


@pytest.mark.parametrize("ahead", [False, True])
async def test_a_half_open_circuit_is_held_by_one_attempt_and_left_by_one_that_is_unscorable(
    ahead: bool,
) -> None:
    arm = make_arm("one", Ahead(Unscorable("too long")), failures=1)
    arm.circuit.failed(arm.circuit.begin())
    arm.circuit.passed()
    attempt = attempt_of(arm)
    if ahead:
        attempt.begin()
        assert not arm.circuit.admits
        other = attempt_of(arm)
        other.begin()
        assert not other.overlapping
        with pytest.raises(ArmFailed, match="its circuit is half-open"):
            await other.result(CANDIDATES)
    with pytest.raises(ArmFailed, match="too long"):
        await attempt.result(CANDIDATES)
    assert arm.circuit.state == "half-open"
    assert arm.circuit.admits


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("cut", [False, True])
async def test_what_was_cut_for_the_arm_is_told_and_counted(ahead: bool, cut: bool) -> None:
    metrics, model = Metrics(), Ahead(truncated=cut)
    attempt = attempt_of(make_arm("one", model), metrics)
    if ahead:
        attempt.begin()
    else:
        model.prefilled.append(REQUEST)
    scored = await attempt.result(CANDIDATES)
    assert scored.truncated == cut
    assert metrics.registry.get_sample_value("laserve_rm_truncated_total", {"arm": "one"}) == cut


async def test_a_prompt_that_could_not_be_read_ahead_is_left_to_the_scoring() -> None:
    class Forgetful(Ahead):
        async def prefill(self, request: Request) -> None:
            raise RuntimeError("no memory just now")

    attempt = attempt_of(make_arm("one", Forgetful()))
    attempt.begin()
    await steps()
    assert (await attempt.result(CANDIDATES)).best == 1


async def test_a_score_that_arrives_with_the_prompt_still_unread_waits_for_nothing_else() -> None:
    class Slow(Ahead):
        async def prefill(self, request: Request) -> None:
            await asyncio.Event().wait()

    attempt = attempt_of(make_arm("one", Slow()))
    attempt.begin()
    assert (await attempt.result(CANDIDATES)).best == 1
    await steps()
    assert len(asyncio.all_tasks()) == 1


class Opening(Ahead):
    """Opens readings that tell whether they are closed."""

    def __init__(self, scores: Any = None, *, closing: Exception | None = None, **flags: bool) -> None:
        super().__init__(scores, **flags)
        self.readings: list[Noted] = []
        self.closing = closing

    def open(self, request: Request) -> "Noted":
        self.readings.append(Noted(self, super().open(request)))
        return self.readings[-1]


class Noted:
    def __init__(self, model: Opening, reading: Reading) -> None:
        self.model = model
        self.reading = reading
        self.closed = 0
        self.asked = 0

    @property
    def truncated(self) -> bool:
        return self.reading.truncated

    async def prefill(self) -> None:
        await self.reading.prefill()

    async def score(self, candidates: Sequence[Candidate]) -> Any:
        self.asked += 1
        return await self.reading.score(candidates)

    def close(self) -> None:
        self.closed += 1
        if self.model.closing is not None:
            raise self.model.closing


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("ends", ["scored", "failed", "unscorable", "timed out", "given up", "left alone"])
async def test_an_attempt_has_one_reading_and_closes_it_whatever_becomes_of_it(
    ahead: bool, ends: str
) -> None:
    scores = {"failed": ArmFailed("no"), "unscorable": Unscorable("too long")}.get(ends)
    model = Opening(scores)
    attempt = attempt_of(make_arm("one", model, timeout_s=0.02 if ends == "timed out" else 30.0))
    if ends in ("timed out", "given up", "left alone"):
        model.go.clear()
    if ahead:
        attempt.begin()
        attempt.add(CANDIDATES[0])
        await steps()
    if ends == "given up":
        task = asyncio.create_task(attempt.result(CANDIDATES))
        await steps()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    elif ends != "left alone":
        await asyncio.gather(attempt.result(CANDIDATES), return_exceptions=True)
    attempt.close()
    attempt.close()
    opened = ahead or ends != "left alone"
    assert [reading.closed for reading in model.readings] == [1] * opened


@pytest.mark.parametrize("ahead", [False, True])
async def test_two_attempts_at_one_request_do_not_share_a_reading(ahead: bool) -> None:
    model = Opening()
    arm = make_arm("one", model)
    for _ in range(2):
        attempt = attempt_of(arm)
        if ahead:
            attempt.begin()
        await attempt.result(CANDIDATES)
    assert [reading.asked > 0 for reading in model.readings] == [True, True]
    assert [reading.closed for reading in model.readings] == [1, 1]


@pytest.mark.parametrize("ahead", [False, True])
async def test_a_reading_that_cannot_be_opened_costs_the_arm(ahead: bool) -> None:
    class Shut(Ahead):
        def open(self, request: Request) -> Reading:
            raise ZeroDivisionError

    attempt = attempt_of(make_arm("one", Shut()))
    if ahead:
        attempt.begin()
        attempt.add(CANDIDATES[0])
    with pytest.raises(ArmFailed, match="raised ZeroDivisionError"):
        await attempt.result(CANDIDATES)


async def test_a_reading_that_cannot_be_closed_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    attempt = attempt_of(make_arm("one", Opening(closing=OSError("busy"))))
    assert (await attempt.result(CANDIDATES)).best == 1
    assert "arm one: a reading could not be closed: it raised OSError" in caplog.text
    assert "busy" not in caplog.text


def test_values_hide_what_is_not_finite() -> None:
    scored = Scored(scores=np.array([math.nan, 1.0]), best=1)
    assert scored.values() == (None, 1.0)
