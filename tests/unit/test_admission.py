"""Permits, played against a clock of the test's own."""

import heapq
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from laserve.admission import LONGEST_RETRY_S, Permits
from laserve.errors import Overloaded
from laserve.metrics import Metrics


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Service:
    """Decisions that take so many seconds each, with as many at once as there are permits."""

    limit: int
    seconds: float
    clock: Clock = field(default_factory=Clock)
    accepted: int = 0
    refused: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.permits = Permits(self.limit, metrics=Metrics(), clock=self.clock)
        self._ends: list[tuple[float, int, ExitStack]] = []

    def arrive(self) -> int | None:
        """None when it was let in, else when to come back."""
        stack = ExitStack()
        try:
            stack.enter_context(self.permits.permit())
        except Overloaded as error:
            self.refused.append(error.retry_after)
            return error.retry_after
        self.accepted += 1
        heapq.heappush(self._ends, (self.clock.now + self.seconds, self.accepted, stack))
        return None

    def until(self, moment: float) -> None:
        """Let time pass; decisions end as they are due."""
        while self._ends and self._ends[0][0] <= moment:
            self.clock.now, _, stack = heapq.heappop(self._ends)
            stack.close()
        self.clock.now = max(self.clock.now, moment)

    def busy(self, seconds: float) -> None:
        """Every permit is taken again the moment that it is free, for so long."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            while self.permits.taken < self.limit:
                self.arrive()
            self.until(self._ends[0][0])


def test_one_more_than_the_limit_is_refused_until_a_permit_is_given_back() -> None:
    service = Service(limit=2, seconds=5)
    assert [service.arrive(), service.arrive()] == [None, None]
    assert service.arrive() is not None
    service.until(service.clock.now + 5)
    assert service.arrive() is None


def test_a_request_that_fails_gives_its_permit_back_and_says_nothing_of_the_pace() -> None:
    clock = Clock()
    permits = Permits(1, metrics=Metrics(), clock=clock)
    with pytest.raises(ValueError, match="refused"), permits.permit():
        clock.now += 1000
        raise ValueError("refused")
    with permits.permit(), pytest.raises(Overloaded) as refusal, permits.permit():
        pass
    assert refusal.value.retry_after == 1


@pytest.mark.parametrize(("limit", "seconds"), [(1, 3.0), (4, 12.0), (16, 4.0)])
def test_who_is_refused_is_told_to_come_back_one_after_another_at_the_pace_of_the_service(
    limit: int, seconds: float
) -> None:
    service = Service(limit=limit, seconds=seconds)
    service.busy(40 * seconds)
    while service.permits.taken < limit:
        service.arrive()
    waits = [service.arrive() for _ in range(40)]
    pace = seconds / limit
    assert waits == pytest.approx([(index + 1) * pace for index in range(40)], abs=1 + 0.35 * 40 * pace)
    assert waits == sorted(waits, key=lambda wait: wait or 0)
    assert waits[0] is not None
    assert 1 <= waits[0] <= pace + 2


def test_a_crowd_that_heeds_what_it_is_told_is_let_in_with_few_second_refusals() -> None:
    service = Service(limit=8, seconds=16.0)
    service.busy(200)
    service.accepted, service.refused = 0, []
    waiting = [(service.clock.now, client) for client in range(200)]
    heapq.heapify(waiting)
    while waiting:
        moment, client = heapq.heappop(waiting)
        service.until(moment)
        if (wait := service.arrive()) is not None:
            heapq.heappush(waiting, (service.clock.now + wait, client))
    assert service.accepted == 200
    assert len(service.refused) < 2 * 200


def test_a_client_that_hammers_the_door_is_told_no_more_than_the_longest_wait() -> None:
    service = Service(limit=1, seconds=10.0)
    service.busy(100)
    if service.permits.taken == 0:
        service.arrive()
    waits = [service.arrive() or 0 for _ in range(1000)]
    assert max(waits) == LONGEST_RETRY_S
