"""Reading ahead, with simulated times."""

from collections.abc import Callable

import pytest

from laserve.arms.overlap import RETRY_EVERY, TRIALS, Overlap

#: Seconds of a request, by whether it overlaps and its tokens.
Times = Callable[[bool, int], float]


def live(
    overlap: Overlap, times: Times, requests: int, *, tokens: Callable[[int], int] = lambda i: 100
) -> list[bool]:
    """What it chose for so many requests, one after another."""
    chosen = []
    for index in range(requests):
        chosen.append(overlap.choose())
        size = tokens(index)
        overlap.learn(chosen[-1], seconds=times(chosen[-1], size), tokens=size)
    return chosen


def faster(on: bool, by: float = 1.5) -> Times:
    return lambda overlapped, tokens: tokens * (0.01 if overlapped == on else 0.01 * by)


@pytest.mark.parametrize(("mode", "on"), [("on", True), ("off", False)])
def test_a_settled_mode_measures_nothing(mode: str, on: bool) -> None:
    overlap = Overlap(mode)  # type: ignore[arg-type]
    assert set(live(overlap, faster(not on), 100)) == {on}
    assert overlap.on == on


@pytest.mark.parametrize("on", [True, False])
def test_auto_tries_both_ways_in_turn_then_keeps_the_faster(on: bool) -> None:
    overlap = Overlap("auto")
    first = live(overlap, faster(on), 2 * TRIALS)
    assert first == [True, False] * TRIALS
    assert overlap.on == on
    later = live(overlap, faster(on), 10 * RETRY_EVERY)
    assert later.count(not on) == 10  # a share of retrials


@pytest.mark.parametrize("on", [True, False])
def test_auto_changes_its_mind_when_times_change(on: bool) -> None:
    overlap = Overlap("auto")
    live(overlap, faster(on), 100)
    live(overlap, faster(not on), 30 * RETRY_EVERY)
    assert overlap.on != on


@pytest.mark.parametrize("on", [True, False])
def test_long_requests_do_not_count_as_slow_ones(on: bool) -> None:
    overlap = Overlap("auto")
    # The faster way happens to get the requests that are ten times as long.
    longer = 0 if on else 1
    live(overlap, faster(on), 2 * TRIALS, tokens=lambda index: 1000 if index % 2 == longer else 100)
    assert overlap.on == on


@pytest.mark.parametrize("on", [True, False])
def test_the_first_of_each_way_may_be_slow(on: bool) -> None:
    overlap = Overlap("auto")
    seen: set[bool] = set()

    def times(overlapped: bool, tokens: int) -> float:
        cold = overlapped not in seen and overlapped == on
        seen.add(overlapped)
        return 1000.0 if cold else faster(on)(overlapped, tokens)

    live(overlap, times, 2 * TRIALS)
    assert overlap.on == on


def test_requests_that_end_without_scores_leave_the_trial_open() -> None:
    overlap = Overlap("auto")
    assert [overlap.choose() for _ in range(50)] == [True, False] * 25
    assert not overlap.on


def test_one_outlier_does_not_decide() -> None:
    overlap = Overlap("auto")
    live(overlap, faster(True), 200)
    overlap.learn(True, seconds=20.0, tokens=100)
    assert overlap.on


def test_changes_are_told_once() -> None:
    changes: list[bool] = []
    overlap = Overlap("auto", changes.append)
    live(overlap, faster(True), 100)
    live(overlap, faster(False), 30 * RETRY_EVERY)
    assert changes == [False, True, False]


def test_a_request_of_no_tokens_and_no_time_is_no_trouble() -> None:
    overlap = Overlap("auto")
    live(overlap, lambda overlapped, tokens: 0.0, 50, tokens=lambda index: 0)
