"""A test write that passes is believed until the writes of requests have failed behind it three times."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.storage.doubts import Doubts


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def doubts(clock: Clock) -> Doubts:
    return Doubts(clock)


def fail_behind_a_probe(doubts: Doubts, what: str = "decisions", times: int = 1) -> None:
    for _ in range(times):
        doubts.failed(what, "not today")
        doubts.probe_passed()


def seconds_of_doubt(doubts: Doubts, clock: Clock) -> float:
    """How long it goes on from now, to a tenth of a second."""
    started = clock.now
    while doubts.reason is not None:
        clock.now += 0.1
        assert clock.now < started + 10_000
    return round(clock.now - started, 0)


def test_nothing_is_doubted_at_first(doubts: Doubts) -> None:
    assert doubts.reason is None


def test_two_failures_leave_a_passing_test_write_believed(doubts: Doubts) -> None:
    fail_behind_a_probe(doubts, times=2)
    assert doubts.reason is None


def test_the_third_failure_names_the_writes_and_their_reason(doubts: Doubts) -> None:
    fail_behind_a_probe(doubts, times=3)
    assert doubts.reason is not None
    assert "decisions: not today" in doubts.reason


def test_failures_between_two_test_writes_count_once(doubts: Doubts) -> None:
    for _ in range(50):
        doubts.failed("decisions", "not today")
    doubts.probe_passed()
    assert doubts.reason is None
    fail_behind_a_probe(doubts)
    assert doubts.reason is None
    fail_behind_a_probe(doubts)
    assert doubts.reason is not None


def test_failures_of_several_sorts_are_counted_apart(doubts: Doubts) -> None:
    for _ in range(2):
        fail_behind_a_probe(doubts, "decisions")
        fail_behind_a_probe(doubts, "events")
    assert doubts.reason is None
    fail_behind_a_probe(doubts, "events")
    assert doubts.reason is not None
    assert "events: " in doubts.reason


def test_writes_that_are_nobodys_request_count_for_nothing(doubts: Doubts) -> None:
    for _ in range(10):
        doubts.failed(None, "not today")
        doubts.probe_passed()
    assert doubts.reason is None
    fail_behind_a_probe(doubts, times=3)
    doubts.succeeded(None)
    assert doubts.reason is not None


def test_the_doubt_lasts_thirty_seconds_and_twice_as_long_each_further_time_up_to_five_minutes(
    doubts: Doubts, clock: Clock
) -> None:
    fail_behind_a_probe(doubts, times=3)
    lasted = [seconds_of_doubt(doubts, clock)]
    for _ in range(6):
        fail_behind_a_probe(doubts)
        lasted.append(seconds_of_doubt(doubts, clock))
    assert lasted == [30, 60, 120, 240, 300, 300, 300]


def test_a_write_that_succeeds_ends_the_doubt_and_the_count(doubts: Doubts, clock: Clock) -> None:
    fail_behind_a_probe(doubts, times=6)
    doubts.succeeded("decisions")
    assert doubts.reason is None
    fail_behind_a_probe(doubts, times=2)
    assert doubts.reason is None
    fail_behind_a_probe(doubts)
    assert seconds_of_doubt(doubts, clock) == 30


def test_a_write_of_another_sort_that_succeeds_ends_nothing(doubts: Doubts) -> None:
    fail_behind_a_probe(doubts, "decisions", times=3)
    fail_behind_a_probe(doubts, "events")
    doubts.succeeded("events")
    assert doubts.reason is not None
    doubts.succeeded("decisions")
    assert doubts.reason is None


def test_a_success_between_two_test_writes_lets_the_next_failure_count(doubts: Doubts) -> None:
    doubts.failed("decisions", "not today")
    doubts.succeeded("decisions")
    fail_behind_a_probe(doubts, times=2)
    assert doubts.reason is None
    fail_behind_a_probe(doubts)
    assert doubts.reason is not None


SORTS = st.sampled_from(["decisions", "events", None])


@given(
    steps=st.lists(st.tuples(st.sampled_from(["failed", "succeeded", "probe", "wait"]), SORTS), max_size=60)
)
def test_it_doubts_only_a_sort_that_has_failed_three_times_since_it_last_succeeded(
    steps: list[tuple[str, str | None]],
) -> None:
    clock = Clock()
    doubts = Doubts(clock)
    failures = {"decisions": 0, "events": 0}
    counted: set[str] = set()
    for step, what in steps:
        match step:
            case "failed":
                doubts.failed(what, "not today")
                if what is not None and what not in counted:
                    counted.add(what)
                    failures[what] += 1
            case "succeeded":
                doubts.succeeded(what)
                if what is not None:
                    failures[what] = 0
                    counted.discard(what)
            case "probe":
                doubts.probe_passed()
                counted.clear()
            case "wait":
                clock.now += 7.0
        if max(failures.values()) < 3:
            assert doubts.reason is None
        if doubts.reason is not None:
            clock_then, clock.now = clock.now, clock.now + 300.0
            assert doubts.reason is None  # it always ends
            clock.now = clock_then
