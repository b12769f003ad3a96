import asyncio
import itertools
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
import pytest

from builders import (
    StubModel,
    UnloadableModel,
    make_arm,
    make_candidate,
    make_candidates,
    make_request,
)
from laserve.arms.arms import Arms
from laserve.arms.attempt import Scored
from laserve.errors import ArmFailed, ConfigError, InvalidRequest
from laserve.metrics import Metrics
from laserve.types import Candidate, Request

NAN = math.nan
REQUEST = make_request()


def arms_of(**models: Any) -> Arms:
    """Ready arms by name."""
    return Arms([make_arm(name, model) for name, model in models.items()], metrics=Metrics())


async def score(model: Any, *candidates: Candidate) -> Scored:
    return await arms_of(one=model).score("one", REQUEST, candidates)


# equal texts


async def test_equal_texts_are_scored_once() -> None:
    model = StubModel({"a": 1.0, "b": 2.0, "c": 0.0})
    scored = await score(model, *make_candidates("a", "b", "a", "c", "b", "a"))
    (texts,) = model.asked
    assert sorted(texts) == ["a", "b", "c"]
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
    """Never answers, and records when it was called."""

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
    arms = Arms([make_arm("one", Hanging(), timeout_s=0.01)], metrics=Metrics())
    with pytest.raises(ArmFailed, match=r"^no scores within 0\.01 s$"):
        await arms.score("one", REQUEST, make_candidates("a"))


async def test_a_cancelled_request_is_not_mistaken_for_a_failed_arm() -> None:
    model, metrics = Hanging(), Metrics()
    arms = Arms([make_arm("one", model)], metrics=metrics)
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
    arms = Arms([make_arm("one", model)], metrics=metrics)
    await asyncio.gather(arms.score("one", REQUEST, make_candidates("a")), return_exceptions=True)
    value = metrics.registry.get_sample_value
    assert (value("laserve_rm_failed_total", {"arm": "one"}) or 0.0) == failed
    assert value("laserve_rm_seconds_count", {"arm": "one"}) == 1.0


# loading


def unloaded(**models: Any) -> Arms:
    arms = [make_arm(name, model, loading="loading") for name, model in models.items()]
    return Arms(arms, metrics=Metrics())


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


# circuits


class Trying(StubModel):
    """Answers each request when the test says how, and passes every self-test while `well`."""

    def __init__(self, *, free: bool = False) -> None:
        super().__init__(free=free)
        self.well = True
        self.tests: list[float] = []
        self.requests: list[asyncio.Future[float]] = []

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
        if request is not REQUEST:
            self.tests.append(time.monotonic())
            if not self.well:
                raise ArmFailed("the test fails")
            return np.zeros(len(candidates))
        self.requests.append(asyncio.get_running_loop().create_future())
        return np.full(len(candidates), await self.requests[-1])


class Bench:
    """An arm `one` that the test answers for, and an arm `two` that always works."""

    def __init__(self, *, failures: int = 2, open_s: float = 0.01, **changes: Any) -> None:
        self.model = Trying(free=True)
        self.metrics = Metrics()
        one = make_arm("one", self.model, failures=failures, open_s=open_s, **changes)
        self.arms = Arms([one, make_arm("two", StubModel())], metrics=self.metrics)
        self.one = one

    async def ask(self) -> asyncio.Task[Scored]:
        """A request that the arm has begun to score."""
        before = len(self.model.requests)
        task = asyncio.create_task(self.arms.score("one", REQUEST, CANDIDATES))
        await until(lambda: len(self.model.requests) > before)
        return task

    async def end(self, task: asyncio.Task[Scored], how: str, index: int = -1) -> Any:
        """Let a request succeed, fail, or be given up by its client."""
        match how:
            case "succeeds":
                self.model.requests[index].set_result(1.0)
            case "fails":
                self.model.requests[index].set_exception(ArmFailed("no scores today"))
            case "is given up":
                task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        return result

    async def open(self) -> None:
        for _ in range(2):
            assert isinstance(await self.end(await self.ask(), "fails"), ArmFailed)
        assert self.one.state == "open"

    async def half_open(self) -> None:
        if self.one.state != "open":
            await self.open()
        await until(lambda: self.one.state == "half-open")

    def failed(self) -> float:
        return self.metrics.registry.get_sample_value("laserve_rm_failed_total", {"arm": "one"}) or 0.0


CANDIDATES = make_candidates("a", "b")


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.arms.close()


async def test_an_arm_that_fails_so_often_in_a_row_is_neither_drawn_nor_asked(bench: Bench) -> None:
    bench.model.well = False
    assert bench.arms.eligible == bench.arms.ready == ("one", "two")
    await bench.open()
    assert bench.arms.ready == ("one", "two")
    assert bench.arms.eligible == ("two",)
    assert bench.arms.free == ()
    assert bench.one.error == "no scores today"
    with pytest.raises(ArmFailed, match=r"^its circuit is open$"):
        await bench.arms.score("one", REQUEST, CANDIDATES)
    assert len(bench.model.requests) == 2
    assert bench.failed() == 2  # no call, no failure
    assert (await bench.arms.score("two", REQUEST, CANDIDATES)).best == 0


async def test_a_success_between_failures_keeps_the_circuit_closed(bench: Bench) -> None:
    for how in ("fails", "succeeds", "is given up", "fails"):
        await bench.end(await bench.ask(), how)
        assert (bench.one.state, bench.arms.eligible) == ("ready", ("one", "two"))
    await bench.end(await bench.ask(), "fails")
    assert bench.one.state == "open"


async def test_when_no_circuit_admits_a_request_all_that_have_loaded_may_be_drawn() -> None:
    arms = Arms(
        [
            make_arm("one", StubModel(ArmFailed("no")), failures=1, open_s=600.0),
            make_arm("two", StubModel(ArmFailed("no")), failures=1, open_s=600.0),
            make_arm("three", StubModel(), loading="failed"),
        ],
        metrics=Metrics(),
    )
    for name in ("one", "two"):
        with pytest.raises(ArmFailed):
            await arms.score(name, REQUEST, CANDIDATES)
    assert arms.eligible == arms.ready == ("one", "two")
    await arms.close()


async def test_an_open_arm_tests_itself_until_it_passes_after_twice_as_long_each_time() -> None:
    bench = Bench(open_s=0.02)
    bench.model.well = False
    opened = time.monotonic()
    await bench.open()
    await until(lambda: len(bench.model.tests) == 3)
    assert bench.one.state == "open"
    bench.model.well = True
    await until(lambda: bench.one.state == "half-open")
    tests = [opened, *bench.model.tests]
    assert len(tests) == 5
    for doublings, (earlier, later) in enumerate(itertools.pairwise(tests)):
        assert later - earlier >= 0.02 * 2**doublings
    await bench.end(await bench.ask(), "succeeds")
    assert (bench.one.state, bench.one.error) == ("ready", None)
    await bench.arms.close()
    assert len(bench.model.tests) == 4  # a closed circuit needs none


async def test_a_test_that_does_not_end_fails_like_a_request() -> None:
    arm = make_arm("one", Hanging(), timeout_s=0.02, failures=1, open_s=0.01)
    arms = Arms([arm], metrics=Metrics())
    with pytest.raises(ArmFailed, match="no scores within"):
        await arms.score("one", REQUEST, CANDIDATES)
    await until(lambda: arm.circuit.open_s >= 0.04)  # two tests more
    assert arm.state == "open"
    await arms.close()


@pytest.mark.parametrize(("how", "state"), [("succeeds", "ready"), ("fails", "open")])
async def test_a_half_open_arm_is_asked_by_one_request_whose_end_decides(
    bench: Bench, how: str, state: str
) -> None:
    await bench.half_open()
    assert bench.arms.eligible == ("one", "two")
    assert bench.arms.free == ("one",)
    trial = await bench.ask()
    assert bench.arms.eligible == ("two",)
    assert bench.arms.free == ()
    with pytest.raises(ArmFailed, match=r"^its circuit is half-open$"):
        await bench.arms.score("one", REQUEST, CANDIDATES)
    bench.model.well = False
    await bench.end(trial, how)
    assert bench.one.state == state
    assert bench.one.circuit.open_s == {"ready": 0.01, "open": 0.02}[state]
    assert bench.failed() == {"ready": 2, "open": 3}[state]


async def test_a_half_open_arm_whose_client_leaves_is_left_to_the_next_request(bench: Bench) -> None:
    await bench.half_open()
    assert isinstance(await bench.end(await bench.ask(), "is given up"), asyncio.CancelledError)
    assert bench.one.state == "half-open"
    await bench.end(await bench.ask(), "succeeds")
    assert bench.one.state == "ready"


@pytest.mark.parametrize("how", ["succeeds", "fails", "is given up"])
async def test_what_was_asked_before_the_circuit_opened_decides_nothing_when_it_is_half_open(
    bench: Bench, how: str
) -> None:
    early = await bench.ask()
    await bench.half_open()
    await bench.end(early, how, index=0)
    assert bench.one.state == "half-open"
    assert bench.one.circuit.open_s == 0.01


async def test_what_was_asked_before_the_circuit_opened_admits_no_second_request(bench: Bench) -> None:
    early = await bench.ask()
    await bench.half_open()
    trial = await bench.ask()
    await bench.end(early, "is given up", index=0)
    with pytest.raises(ArmFailed, match=r"^its circuit is half-open$"):
        async with asyncio.timeout(1):
            await bench.arms.score("one", REQUEST, CANDIDATES)
    await bench.end(trial, "succeeds")
    assert bench.one.state == "ready"


async def test_an_arm_that_fails_while_it_loads_has_no_circuit_to_speak_of() -> None:
    arms = unloaded(broken=UnloadableModel())
    await arms.load()
    assert [(arm.state, arm.circuit.state) for arm in arms] == [("failed", "closed")]


async def test_closing_ends_the_tests_of_open_arms(bench: Bench) -> None:
    bench.model.well = False
    await bench.open()
    await until(lambda: bench.model.tests)
    await bench.arms.close()
    assert bench.model.closed
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("probe")] == []


class Cancelled(StubModel):
    """Waits for something that another has cancelled, until it is `well`."""

    well = False

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
        self.asked.append([candidate.text for candidate in candidates])
        if not self.well:
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone
        return np.zeros(len(candidates))


async def test_an_arm_that_is_cancelled_from_within_has_failed_and_tests_itself_until_it_passes() -> None:
    model = Cancelled()
    arm = make_arm("one", model, failures=1, open_s=0.01)
    arms = Arms([arm], metrics=Metrics())
    with pytest.raises(ArmFailed):
        await arms.score("one", REQUEST, CANDIDATES)
    assert arm.state == "open"
    await until(lambda: len(model.asked) == 3)
    model.well = True
    await until(lambda: arm.state == "half-open")
    await arms.close()


async def test_an_arm_that_is_cancelled_from_within_as_it_loads_is_left_out() -> None:
    arms = unloaded(one=Cancelled(), two=StubModel())
    await arms.load()
    assert arms.ready == ("two",)


class Deaf(StubModel):
    """Goes on when it is cancelled."""

    def __init__(self, released: asyncio.Event) -> None:
        super().__init__()
        self.released = released
        self.cancelled = 0

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
        raise RuntimeError("nobody hears this")


@pytest.fixture
async def deaf() -> AsyncIterator[Deaf]:
    model = Deaf(asyncio.Event())
    yield model
    model.released.set()
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_an_arm_that_does_not_heed_its_cancellation_holds_no_request_past_its_time(deaf: Deaf) -> None:
    arms = Arms([make_arm("one", deaf, timeout_s=0.05)], metrics=Metrics())
    async with asyncio.timeout(10):
        with pytest.raises(ArmFailed, match=r"^no scores within 0\.05 s$"):
            await arms.score("one", REQUEST, CANDIDATES)
    await until(lambda: deaf.cancelled == 1)  # it was cancelled, and is left running


async def test_an_arm_that_does_not_heed_its_cancellation_holds_no_client_that_leaves(deaf: Deaf) -> None:
    arms = Arms([make_arm("one", deaf)], metrics=Metrics())
    task = asyncio.create_task(arms.score("one", REQUEST, CANDIDATES))
    await asyncio.sleep(0)
    await until(lambda: len(asyncio.all_tasks()) == 3)
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task
    await until(lambda: deaf.cancelled == 1)
