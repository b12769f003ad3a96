from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from laserve.arms.circuit import STATES, Circuit, CircuitState

LONGEST_OPEN_S = 600.0


class Watched(Circuit):
    """A circuit that records its states."""

    def __init__(self, *, failures: int = 3, open_s: float = 1.0) -> None:
        self.states: list[CircuitState] = []
        super().__init__(failures=failures, open_s=open_s, on_change=self.states.append)

    def fail(self, times: int = 1) -> list[bool]:
        """So many requests that the arm fails."""
        return [self.ends("failed") for _ in range(times)]

    def ends(self, how: str) -> Any:
        """One request, and how it ends."""
        assert self.admits
        return getattr(self, how)(self.begin())


def half_open(**changes: Any) -> Watched:
    circuit = Watched(**changes)
    circuit.fail(changes.get("failures", 3))
    circuit.passed()
    return circuit


def test_a_new_circuit_is_closed_and_says_so() -> None:
    circuit = Watched()
    assert (circuit.state, circuit.admits, circuit.states) == ("closed", True, ["closed"])


@pytest.mark.parametrize("failures", [1, 2, 5])
def test_so_many_failures_in_a_row_open_it_and_the_last_one_says_so(failures: int) -> None:
    circuit = Watched(failures=failures, open_s=7.0)
    assert circuit.fail(failures) == [False] * (failures - 1) + [True]
    assert (circuit.state, circuit.admits, circuit.open_s) == ("open", False, 7.0)
    assert circuit.states == ["closed", "open"]


def test_a_success_between_failures_starts_the_count_anew() -> None:
    circuit = Watched(failures=3)
    circuit.fail(2)
    circuit.ends("succeeded")
    circuit.fail(2)
    assert circuit.state == "closed"
    assert circuit.fail() == [True]


def test_a_request_that_was_given_up_is_neither_a_failure_nor_a_success() -> None:
    circuit = Watched(failures=3)
    circuit.fail(2)
    circuit.ends("gave_up")
    assert circuit.state == "closed"
    assert circuit.fail() == [True]


def test_a_closed_circuit_admits_any_number_of_requests_at_once() -> None:
    circuit = Watched()
    for _ in range(100):
        assert circuit.admits
        circuit.begin()
    assert circuit.admits


def test_a_failure_that_arrives_when_it_is_open_already_opens_it_no_second_time() -> None:
    circuit = Watched(failures=2)
    begun = [circuit.begin() for _ in range(4)]
    assert [circuit.failed(each) for each in begun] == [False, True, False, False]
    assert circuit.states == ["closed", "open"]


def test_a_test_that_passes_lets_one_request_through_at_a_time() -> None:
    circuit = half_open()
    assert (circuit.state, circuit.admits) == ("half-open", True)
    begun = circuit.begin()
    assert not circuit.admits
    circuit.gave_up(begun)
    assert (circuit.state, circuit.admits) == ("half-open", True)


@pytest.mark.parametrize("how", ["gave_up", "succeeded", "failed"])
@pytest.mark.parametrize("trying", [False, True])
def test_what_was_asked_in_an_earlier_state_decides_nothing_in_this_one(how: str, trying: bool) -> None:
    circuit = Watched(failures=1, open_s=1.0)
    early = circuit.begin()
    circuit.fail()
    circuit.passed()
    if trying:
        circuit.begin()
    assert not getattr(circuit, how)(early)
    assert (circuit.state, circuit.admits, circuit.open_s) == ("half-open", not trying, 1.0)


def test_a_success_closes_a_half_open_circuit_which_then_takes_the_whole_number_of_failures_again() -> None:
    circuit = half_open(failures=3)
    circuit.ends("succeeded")
    assert (circuit.state, circuit.admits) == ("closed", True)
    assert circuit.fail(3) == [False, False, True]


def test_one_failure_opens_a_half_open_circuit_for_twice_as_long() -> None:
    circuit = half_open(open_s=1.5)
    assert circuit.fail() == [True]
    assert (circuit.state, circuit.open_s) == ("open", 3.0)
    circuit.passed()
    assert circuit.fail() == [True]
    assert circuit.open_s == 6.0


def test_each_test_that_fails_doubles_the_stay_up_to_ten_minutes() -> None:
    circuit = Watched(failures=1, open_s=100.0)
    circuit.fail()
    stays = [circuit.open_s]
    for _ in range(4):
        circuit.prolong()
        assert circuit.state == "open"
        stays.append(circuit.open_s)
    assert stays == [100.0, 200.0, 400.0, LONGEST_OPEN_S, LONGEST_OPEN_S]
    assert circuit.states == ["closed", "open"]


def test_after_it_has_closed_the_first_stay_is_as_short_as_ever() -> None:
    circuit = half_open(open_s=1.5)
    circuit.fail()
    circuit.prolong()
    circuit.passed()
    circuit.ends("succeeded")
    circuit.fail(3)
    assert (circuit.state, circuit.open_s) == ("open", 1.5)


class CircuitMachine(RuleBasedStateMachine):
    """Requests that end when and as they like, and tests, beside a model written from the specification."""

    @initialize(failures=st.integers(1, 4), open_s=st.floats(0.01, LONGEST_OPEN_S))
    def start(self, failures: int, open_s: float) -> None:
        self.circuit = Watched(failures=failures, open_s=open_s)
        self.limit, self.first_open_s = failures, open_s
        self.states: list[CircuitState] = ["closed"]
        self.open_s = open_s
        self.in_a_row = 0
        #: The number from `begin` for each request under way; the number of states until then.
        self.under_way: list[tuple[int, int]] = []

    @property
    def state(self) -> CircuitState:
        return self.states[-1]

    def admits(self) -> bool:
        busy = any(when == len(self.states) for _, when in self.under_way)
        return self.state == "closed" or (self.state == "half-open" and not busy)

    @precondition(admits)
    @rule()
    def a_request_asks_the_arm(self) -> None:
        self.under_way.append((self.circuit.begin(), len(self.states)))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), how=st.sampled_from(["gave_up", "succeeded", "failed"]))
    def a_request_ends(self, data: st.DataObject, how: str) -> None:
        begun, when = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        said = getattr(self.circuit, how)(begun)
        counts, state = when == len(self.states), self.state
        if counts and how == "succeeded":
            self.in_a_row = 0
            if state == "half-open":
                self.open_s = self.first_open_s
                self.states.append("closed")
        if counts and how == "failed":
            self.in_a_row += 1
            if state == "half-open":
                self.longer()
            if state == "half-open" or self.in_a_row >= self.limit:
                self.in_a_row = 0
                self.states.append("open")
        match how:
            case "succeeded":
                assert said == counts
            case "failed":
                assert said == (self.state == "open" != state)

    def longer(self) -> None:
        self.open_s = min(2 * self.open_s, LONGEST_OPEN_S)

    @precondition(lambda self: self.state == "open")
    @rule()
    def a_test_fails(self) -> None:
        self.circuit.prolong()
        self.longer()

    @precondition(lambda self: self.state == "open")
    @rule()
    def a_test_passes(self) -> None:
        self.circuit.passed()
        self.states.append("half-open")

    @invariant()
    def it_admits_only_as_specified(self) -> None:
        assert self.circuit.state == self.state
        assert self.circuit.admits == self.admits()

    @invariant()
    def it_stays_open_for_as_long_as_specified(self) -> None:
        assert self.circuit.open_s == self.open_s

    @invariant()
    def it_tells_of_each_new_state_once(self) -> None:
        assert self.circuit.states == self.states
        assert set(self.states) <= set(STATES)


class TestAnyOrder(CircuitMachine.TestCase):
    settings = settings(max_examples=100, stateful_step_count=40)
