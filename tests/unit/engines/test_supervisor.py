"""An engine that dies is replaced, one that will not start is tried ever less often."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from laserve.engines.supervisor import Supervisor
from laserve.errors import EngineError, NotReady
from laserve.metrics import Metrics

#: Far longer than anything here takes, for what must not happen meanwhile.
LONG_S = 60.0


@dataclass(eq=False)
class FakeEngine:
    """An engine that dies when it is told to."""

    dead: str | None = None
    stopped: int = 0
    closed: int = 0

    def cause_of_death(self) -> str | None:
        return self.dead

    def stop(self) -> None:
        self.stopped += 1

    def close(self) -> None:
        self.closed += 1


@dataclass
class Works:
    """What starts fake engines; a start or a proof fails while there is a reason for it to."""

    no_start: Exception | None = None
    no_proof: Exception | None = None
    #: Each engine that came out of a start.
    made: list[FakeEngine] = field(default_factory=list)
    #: What each start was given, and when.
    given: list[FakeEngine | None] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    proved: list[FakeEngine] = field(default_factory=list)
    #: A start blocks until this is set.
    go: threading.Event = field(default_factory=threading.Event)
    interrupted: int = 0

    def __post_init__(self) -> None:
        self.go.set()

    def start(self, dead: FakeEngine | None) -> FakeEngine:
        self.given.append(dead)
        self.at.append(time.monotonic())
        assert self.go.wait(LONG_S)
        if self.no_start is not None:
            raise self.no_start
        self.made.append(FakeEngine())
        return self.made[-1]

    async def prove(self, engine: FakeEngine) -> None:
        if self.no_proof is not None:
            raise self.no_proof
        self.proved.append(engine)

    def interrupt(self) -> None:
        self.interrupted += 1
        self.go.set()


Supervise = Callable[..., Supervisor[FakeEngine]]


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def supervise(works: Works, metrics: Metrics) -> AsyncIterator[Supervise]:
    """Makes supervisors whose engines never die young, unless told otherwise; closed after the test."""
    made: list[Supervisor[FakeEngine]] = []

    def make(**seconds: float) -> Supervisor[FakeEngine]:
        supervisor = Supervisor(
            "generator",
            start=works.start,
            prove=works.prove,
            interrupt=works.interrupt,
            metrics=metrics,
            **{"first_pause_s": 0.01, "steady_s": 0.0} | seconds,
        )
        made.append(supervisor)
        return supervisor

    yield make
    works.go.set()
    for supervisor in made:
        await supervisor.close()


async def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Let the supervisor go on until something holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        await asyncio.sleep(0.005)


def serves(supervisor: Supervisor[FakeEngine]) -> bool:
    try:
        return supervisor.engine is not None
    except EngineError:
        return False


def refusal(supervisor: Supervisor[FakeEngine]) -> EngineError:
    with pytest.raises(EngineError) as caught:
        _ = supervisor.engine
    return caught.value


def restarts(metrics: Metrics, outcome: str) -> float:
    labels = {"engine": "generator", "outcome": outcome}
    return metrics.registry.get_sample_value("laserve_engine_restarts_total", labels) or 0.0


def up(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("laserve_engine_up", {"engine": "generator"})


def pauses(caplog: pytest.LogCaptureFixture) -> list[float]:
    """Seconds before each start that did not follow at once, as the log tells them."""
    return [
        float(record.getMessage().rpartition("next start in ")[2].removesuffix(" s"))
        for record in caplog.records
        if "next start in" in record.getMessage()
    ]


async def test_the_first_engine_is_started_and_proved_before_it_is_handed_out(
    supervise: Supervise, works: Works, metrics: Metrics
) -> None:
    supervisor = supervise()
    with pytest.raises(NotReady, match="still loading"):
        _ = supervisor.engine
    await supervisor.start()
    assert works.given == [None]
    assert works.proved == works.made == [supervisor.engine]
    assert restarts(metrics, "ready") == restarts(metrics, "failed") == 0


async def test_an_engine_is_up_while_it_serves_and_not_while_it_starts_or_is_dead(
    supervise: Supervise, works: Works, metrics: Metrics
) -> None:
    supervisor = supervise()
    assert up(metrics) is None
    works.go.clear()
    starting = asyncio.create_task(supervisor.start())
    await until(lambda: works.given)
    assert up(metrics) == 0
    works.go.set()
    await starting
    assert up(metrics) == 1
    works.go.clear()
    works.made[0].dead = "killed"
    assert up(metrics) == 0  # before anyone has noticed
    await until(lambda: len(works.given) == 2)
    assert up(metrics) == 0
    works.go.set()
    await until(lambda: serves(supervisor))
    assert up(metrics) == 1
    await supervisor.close()
    assert up(metrics) is None


async def test_a_first_engine_that_does_not_start_is_the_callers_to_hear_of(
    supervise: Supervise, works: Works
) -> None:
    works.no_start = EngineError("no memory left")
    supervisor = supervise()
    with pytest.raises(EngineError, match="no memory left"):
        await supervisor.start()
    with pytest.raises(NotReady):
        _ = supervisor.engine
    assert len(works.given) == 1


async def test_a_death_is_told_with_its_cause_and_when_to_come_back_before_anyone_has_noticed_it(
    supervise: Supervise, works: Works
) -> None:
    supervisor = supervise()
    await supervisor.start()
    works.made[0].dead = "EngineCore was killed by signal 9"
    error = refusal(supervisor)
    assert "EngineCore was killed by signal 9" in error.message
    assert "being restarted" in error.message
    assert error.retry_after >= 1


async def test_the_next_engine_is_started_behind_the_dead_one_and_handed_out(
    supervise: Supervise, works: Works, metrics: Metrics
) -> None:
    supervisor = supervise()
    await supervisor.start()
    works.go.clear()
    works.made[0].dead = "killed"
    await until(lambda: len(works.given) == 2)
    assert works.given[1] is works.made[0]
    assert works.made[0].stopped == 1
    error = refusal(supervisor)
    assert "killed" in error.message
    assert error.retry_after >= 1

    works.go.set()
    await until(lambda: serves(supervisor))
    assert supervisor.engine is works.made[1] is works.proved[1]
    assert (works.made[0].closed, works.made[1].stopped) == (0, 0)
    assert (restarts(metrics, "ready"), restarts(metrics, "failed")) == (1, 0)


async def test_failed_starts_are_tried_again_after_pauses_that_double_up_to_the_longest(
    supervise: Supervise, works: Works, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = supervise(first_pause_s=0.02, longest_pause_s=0.1)
    await supervisor.start()
    works.no_start = EngineError("no memory left")
    works.made[0].dead = "killed"
    await until(lambda: len(works.given) == 7)
    assert pauses(caplog)[:5] == [0.02, 0.04, 0.08, 0.1, 0.1]
    gaps = [later - earlier for earlier, later in zip(works.at[1:], works.at[2:], strict=False)]
    assert all(gap >= pause for gap, pause in zip(gaps, [0.02, 0.04, 0.08, 0.1, 0.1], strict=True))
    assert "no memory left" in refusal(supervisor).message
    # The dead engine is what the parts to be used again belong to, however often its next start fails.
    assert set(map(id, works.given[1:])) == {id(works.made[0])}
    assert restarts(metrics, "failed") >= 5

    works.no_start = None
    await until(lambda: serves(supervisor))
    assert restarts(metrics, "ready") == 1


async def test_the_wait_that_is_told_covers_the_pause(supervise: Supervise, works: Works) -> None:
    supervisor = supervise(first_pause_s=LONG_S, longest_pause_s=LONG_S)
    await supervisor.start()
    works.no_start = EngineError("no memory left")
    works.made[0].dead = "killed"
    await until(lambda: "no memory left" in refusal(supervisor).message)
    await until(lambda: refusal(supervisor).retry_after > LONG_S / 2)
    assert refusal(supervisor).retry_after <= LONG_S + 1


async def test_an_engine_that_died_young_is_waited_for_and_one_that_lived_long_is_not(
    supervise: Supervise, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    young = supervise(first_pause_s=0.01, steady_s=LONG_S)
    await young.start()
    for lives in range(1, 4):
        works.made[-1].dead = "killed"
        await until(lambda lives=lives: len(works.made) == lives + 1 and serves(young))
    assert pauses(caplog) == [0.01, 0.02, 0.04]


async def test_a_long_life_begins_the_pauses_anew(
    supervise: Supervise, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = supervise(first_pause_s=0.01)
    await supervisor.start()
    for _ in range(2):
        caplog.clear()
        works.no_start = EngineError("no memory left")
        works.made[-1].dead = "killed"
        await until(lambda: len(pauses(caplog)) == 3)
        assert pauses(caplog) == [0.01, 0.02, 0.04]
        works.no_start = None
        await until(lambda: serves(supervisor))


@pytest.mark.parametrize("error", [EngineError("it says nothing"), TimeoutError("it never answers")])
async def test_an_engine_that_cannot_be_proved_is_stopped_and_counts_as_not_started(
    supervise: Supervise, works: Works, metrics: Metrics, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    supervisor = supervise()
    await supervisor.start()
    works.no_proof = error
    works.made[0].dead = "killed"
    await until(lambda: len(pauses(caplog)) == 2)
    assert str(error) in refusal(supervisor).message
    assert restarts(metrics, "failed") >= 2
    # Each before the next start, which may be given it.
    assert [engine.stopped for engine in works.made[1:3]] == [1, 1]

    works.no_proof = None
    await until(lambda: serves(supervisor))
    assert works.proved[-1] is supervisor.engine


async def test_a_start_that_raises_something_unforeseen_is_tried_again(
    supervise: Supervise, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = supervise()
    await supervisor.start()
    works.no_start = KeyError("rank")
    works.made[0].dead = "killed"
    await until(lambda: len(pauses(caplog)) == 2)
    assert "KeyError('rank')" in refusal(supervisor).message
    works.no_start = None
    await until(lambda: serves(supervisor))
    assert len(works.made) == 2


async def test_a_retired_supervisor_lets_its_engine_live_and_starts_no_other(
    supervise: Supervise, works: Works
) -> None:
    supervisor = supervise()
    await supervisor.start()
    supervisor.retire()
    assert supervisor.engine is works.made[0]
    works.made[0].dead = "killed"
    error = refusal(supervisor)
    assert "killed" in error.message
    assert "stopping" in error.message
    assert error.retry_after >= 1
    await let_it_look()
    assert len(works.given) == 1


async def test_a_supervisor_that_retires_in_a_pause_starts_nothing_after_it(
    supervise: Supervise, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = supervise(first_pause_s=0.1, steady_s=LONG_S)
    await supervisor.start()
    works.made[0].dead = "killed"
    await until(lambda: pauses(caplog) == [0.1])
    supervisor.retire()
    await let_it_look()
    assert "stopping" in refusal(supervisor).message
    assert len(works.given) == 1


async def let_it_look() -> None:
    """Time for several looks of a supervisor that must see nothing to do."""
    looks = time.monotonic() + 0.4
    await until(lambda: time.monotonic() > looks)


async def test_closing_closes_the_engine_and_hands_out_none(supervise: Supervise, works: Works) -> None:
    supervisor = supervise()
    await supervisor.start()
    await supervisor.close()
    assert works.made[0].closed == 1
    assert "stopping" in refusal(supervisor).message
    await supervisor.close()
    assert works.made[0].closed == 1
    assert works.interrupted == 0


async def test_closing_before_any_start_is_nothing(supervise: Supervise, works: Works) -> None:
    await supervise().close()
    assert works.given == []


Begin = Callable[[Supervisor[FakeEngine], Works], Awaitable[None]]


async def first_start(supervisor: Supervisor[FakeEngine], works: Works) -> None:
    """Be in the middle of the first start, given up by who asked for it."""
    works.go.clear()
    starting = asyncio.create_task(supervisor.start())
    await until(lambda: works.given == [None])
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting


async def second_start(supervisor: Supervisor[FakeEngine], works: Works) -> None:
    """Be in the middle of the start that follows a death."""
    await supervisor.start()
    works.go.clear()
    works.made[0].dead = "killed"
    await until(lambda: len(works.given) == 2)


@pytest.mark.parametrize("begin", [first_start, second_start])
async def test_closing_during_a_start_interrupts_it_and_closes_what_comes_out_of_it(
    supervise: Supervise, works: Works, begin: Begin
) -> None:
    supervisor = supervise()
    await begin(supervisor, works)
    await supervisor.close()
    assert works.interrupted >= 1
    assert works.made[-1].closed == 1
    assert works.proved == works.made[:-1]
    await supervisor.close()
    assert works.made[-1].closed == 1


@pytest.mark.parametrize("begin", [first_start, second_start])
async def test_closing_during_a_start_that_then_fails_leaves_nothing(
    supervise: Supervise, works: Works, begin: Begin
) -> None:
    supervisor = supervise()
    await begin(supervisor, works)
    works.no_start = EngineError("its processes were killed")
    await supervisor.close()
    assert works.interrupted >= 1
    assert [engine.closed for engine in works.made] == [1] * len(works.made)


async def test_closing_in_a_pause_does_not_wait_for_its_end(
    supervise: Supervise, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = supervise(first_pause_s=LONG_S, steady_s=LONG_S)
    await supervisor.start()
    works.made[0].dead = "killed"
    await until(lambda: pauses(caplog) == [LONG_S])
    async with asyncio.timeout(LONG_S / 4):
        await supervisor.close()
    assert works.made[0].closed == 1
    assert len(works.given) == 1


async def test_an_engine_that_dies_is_said_once_with_its_cause(
    supervise: Supervise, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    supervisor = supervise()
    await supervisor.start()
    works.made[0].dead = "Worker was killed by signal 9"
    await until(lambda: len(works.made) == 2 and serves(supervisor))
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "Worker was killed by signal 9" in errors[0]
    assert "serves again" in caplog.records[-1].getMessage()
