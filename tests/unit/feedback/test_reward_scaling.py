"""Rewards scaled by their quantiles, from feedback to state."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_arm_event, make_decision, make_feedback, make_start
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.bandit.state.scaling import ENOUGH, Scale
from laserve.eventlog.event_log import EventLog
from laserve.eventlog.learner import Learner, fold
from laserve.feedback.entries import DefaultEntry, FeedbackEntry
from laserve.feedback.record import Recorder
from laserve.feedback.rewards import resolve
from laserve.history.verify import verify
from laserve.metrics import Metrics
from laserve.storage.base import Earlier, StoredFeedback
from laserve.storage.store import SqlStore
from laserve.types import Decision, Event

#: The arms of `make_decision`, and the candidate that each would return; `loglik` chose the answer.
CHOICES = {"loglik": 0, "consensus": 1, "relevance": 3}
#: Decisions of which three arms each have earned enough rewards, just.
SHORT = ENOUGH // len(CHOICES) + 1
FIRST = [
    make_start(prior_diagonal=[1.0, 1.0], discount=1.0, reward_scaling="quantile"),
    *(make_arm_event(2 + index, name, [0.5, 0.0]) for index, name in enumerate(CHOICES)),
]


class Tape:
    """A log in memory, and the state that it is folded into."""

    def __init__(self, first: Sequence[Event] = FIRST) -> None:
        self.events: list[Event] = []
        self.rows: list[StoredFeedback] = []
        #: Decision -> the last word on it.
        self.said: dict[int, Sequence[float]] = {}
        self.model = LinearModel(BanditState())
        self.due: float | None = None
        for event in first:
            self.fold(event)

    @property
    def state(self) -> BanditState:
        return self.model.state

    def fold(self, event: Event) -> Event:
        self.events.append(replace(event, position=len(self.events) + 1))
        self.model.apply(self.events[-1])
        return self.events[-1]

    async def now(self) -> float:
        return 2000.0

    async def tip(self) -> int:
        return len(self.events)

    async def feedback(self, key: str, identity: str) -> None: ...

    async def earlier(self, key: str, identity: str, decision_id: str) -> Earlier:
        return Earlier(same=None, answered=any(row.decision_id == decision_id for row in self.rows))

    async def decision(self, decision_id: str) -> Decision:
        number = int(decision_id.removeprefix("d-"))
        return make_decision(
            id=decision_id,
            x=np.array([1.0, number / 8]),
            propensity=0.25,
            choices=CHOICES,
            closes_at=None if self.due is None else 1060.0,
            default_reward=self.due,
        )

    async def taught(self, decision_id: str) -> Event | None:
        return next((event for event in reversed(self.events) if event.decision_id == decision_id), None)

    async def append(self, event: Event) -> Event:
        return self.fold(event)

    async def add_feedback(self, feedback: StoredFeedback) -> None:
        self.rows.append(feedback)

    async def settle(self, decision_id: str) -> None: ...

    def say(self, number: int, rewards: Sequence[float]) -> Event:
        """What each candidate of a decision was worth; a second word corrects the first."""
        self.said[number] = rewards
        return asyncio.run(self._say(make_feedback("candidate_rewards", rewards, decision_id=f"d-{number}")))

    async def _say(self, feedback: Any) -> Event:
        decision = await self.decision(feedback.decision_id)
        entry = FeedbackEntry(feedback=feedback, decision=decision, resolved=resolve(feedback, decision))
        (event,) = (await entry.write(self, self.state.fork(), 2000.0)).events
        return event

    def lapse(self, number: int, default_reward: float) -> Event:
        self.due = default_reward
        entry = DefaultEntry(decision_id=f"d-{number}")
        (event,) = asyncio.run(entry.write(self, self.state.fork(), 2000.0)).events
        return event


def full(number: int = ENOUGH) -> Tape:
    """So many decisions have earned 0.25 or 0.75 by every arm."""
    tape = Tape()
    for index in range(number):
        tape.say(1000 + index, [(0.25, 0.75)[index % 2]] * 4)
    return tape


def learned(event: Event) -> dict[str, float]:
    return {update.arm: update.reward for update in event.updates}


def earned(event: Event) -> dict[str, float]:
    return {update.arm: update.earned for update in event.updates}


QUALITIES = st.lists(st.floats(0, 1), min_size=4, max_size=4)
#: (decision, qualities of its candidates); a decision that comes again is corrected.
WORDS = st.lists(st.tuples(st.integers(0, 5), QUALITIES), max_size=12)


def test_what_is_learned_is_scaled_and_what_was_earned_stays_beside_it() -> None:
    tape = full()
    event = tape.say(1, [0.5, 0.375, 0.0, 1.0])
    assert learned(event) == {"loglik": 0.5, "consensus": 0.25, "relevance": 1.0}
    assert earned(event) == {"loglik": 0.5, "consensus": 0.375, "relevance": 1.0}
    assert event.body["scale"] == [0.25, 0.75]
    event = tape.say(2, [0.3, 0.7, 0.0, 1.0])
    assert (event.body["reward"], event.body["scaled_reward"]) == (0.3, pytest.approx(0.1))
    assert tape.rows[-1].reward == 0.3


def test_rewards_are_learned_as_they_are_until_enough_were_seen() -> None:
    tape = full(SHORT - 1)
    event = tape.say(1, [0.5, 0.375, 0.0, 1.0])
    assert learned(event) == earned(event) == {"loglik": 0.5, "consensus": 0.375, "relevance": 1.0}
    assert not event.body.keys() & {"scale", "scaled_reward"}


def test_rewards_that_are_all_the_same_teach_what_they_are_and_lock_on_no_arm() -> None:
    tape = Tape()
    for number in range(2 * ENOUGH):
        event = tape.say(number, [0.5] * 4)
        assert set(learned(event).values()) == {0.5}
    x = np.array([1.0, 0.0])
    means = tape.model.means(x, list(CHOICES))
    assert np.isfinite(means).all()
    np.testing.assert_array_equal(means, means[0])
    assert learned(tape.say(100, [1.0, 0.0, 0.0, 0.5])) == {
        "loglik": 1.0,
        "consensus": 0.0,
        "relevance": 0.5,
    }


def test_a_correction_has_the_scale_of_what_it_corrects() -> None:
    tape = full()
    tape.say(1, [0.5, 0.5, 0.5, 0.5])
    for number in range(2, 200):
        tape.say(number, [(0.0, 1.0)[number % 2]] * 4)
    assert tape.state.rewards.scale == Scale(0.0, 1.0)
    event = tape.say(1, [0.375, 0.5, 0.0, 0.625])
    assert event.body["scale"] == [0.25, 0.75]
    assert learned(event) == {"loglik": 0.25, "consensus": 0.5, "relevance": 0.75}
    assert event.body["replaced_reward"] == 0.5


def test_a_correction_of_what_was_not_scaled_is_not_scaled() -> None:
    tape = Tape()
    tape.say(1, [0.5] * 4)
    for number in range(2, 2 + ENOUGH):
        tape.say(number, [(0.25, 0.75)[number % 2]] * 4)
    event = tape.say(1, [0.375, 0.5, 0.0, 0.625])
    assert learned(event) == earned(event)
    assert "scale" not in event.body


def test_a_default_is_scaled_and_what_replaces_it_by_the_same_scale() -> None:
    tape = full()
    default = tape.lapse(1, 0.375)
    assert (learned(default), earned(default)) == ({"loglik": 0.25}, {"loglik": 0.375})
    assert tape.rows[-1].reward == default.body["reward"] == 0.375
    word = tape.say(1, [0.625] * 4)
    assert (word.replaces, word.body["scale"]) == (default.updates, default.body["scale"])
    assert learned(word)["loglik"] == 0.75


def test_exp3_learns_the_scaled_loss_of_the_arm_that_was_drawn() -> None:
    tape = full()
    before = tape.state.arms["loglik"].loss
    tape.say(1, [0.625] * 4)
    assert tape.state.arms["loglik"].loss - before == pytest.approx((1 - 0.75) / 0.25)
    tape.say(1, [0.5] * 4)
    assert tape.state.arms["loglik"].loss - before == pytest.approx((1 - 0.5) / 0.25)


def test_a_classifier_learns_which_arm_was_best_also_beyond_the_quantiles() -> None:
    tape = full()
    event = tape.say(1, [0.8, 0.9, 0.0, 0.95])
    assert set(learned(event).values()) == {1.0}
    assert tape.state.examples.by_decision["d-1"].best == ("relevance",)


@settings(max_examples=40, deadline=None)
@given(words=WORDS)
def test_an_arm_s_mean_reward_and_the_counts_are_of_what_was_earned_after_all_corrections(
    words: list[tuple[int, list[float]]],
) -> None:
    tape = full(SHORT)
    for number, qualities in words:
        tape.say(number, qualities)
    assert tape.state.rewards.seen == len(CHOICES) * len(tape.said)
    for arm, index in CHOICES.items():
        arm_state = tape.state.arms[arm]
        assert arm_state.updates == len(tape.said)
        assert arm_state.reward_sum == pytest.approx(sum(each[index] for each in tape.said.values()))


@settings(max_examples=40, deadline=None)
@given(words=WORDS)
def test_the_fold_equals_the_sums_of_what_is_learned_after_all_corrections(
    words: list[tuple[int, list[float]]],
) -> None:
    tape = full(SHORT)
    for number, qualities in words:
        event = tape.say(number, qualities)
        order = sorted(event.updates, key=lambda update: update.earned)
        rewards = [update.reward for update in order]
        assert rewards == sorted(rewards)
        assert all(0.0 <= reward <= 1.0 for reward in rewards)
    standing = {event.decision_id: event for event in tape.events[len(FIRST) :]}
    for arm in CHOICES:
        b = sum((learned(event)[arm] * event.x for event in standing.values()), start=np.zeros(2))  # type: ignore[operator]
        np.testing.assert_allclose(tape.state.arms[arm].b, b, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(words=WORDS, wrong=QUALITIES, right=QUALITIES)
def test_a_correction_leaves_what_the_right_word_would_have_left(
    words: list[tuple[int, list[float]]], wrong: list[float], right: list[float]
) -> None:
    corrected, direct = full(SHORT), full(SHORT)
    for number, qualities in words:
        for tape in (corrected, direct):
            tape.say(number, qualities)
    corrected.say(99, wrong)
    last, once = corrected.say(99, right), direct.say(99, right)
    assert last.updates == once.updates
    assert corrected.state.rewards == direct.state.rewards
    for arm in CHOICES:
        ours, theirs = corrected.state.arms[arm], direct.state.arms[arm]
        np.testing.assert_allclose(ours.b, theirs.b, atol=1e-12)
        assert ours.loss == pytest.approx(theirs.loss, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(words=WORDS, cut=st.integers(0, SHORT + 12))
def test_a_restored_snapshot_goes_on_the_same(words: list[tuple[int, list[float]]], cut: int) -> None:
    tape = full(SHORT)
    for number, qualities in words:
        tape.say(number, qualities)
    state = BanditState()
    for event in tape.events[: len(FIRST) + cut]:
        state.apply(event)
    restored = BanditState.from_bytes(state.to_bytes())
    assert restored.digest() == state.digest()
    for event in tape.events[len(FIRST) + cut :]:
        restored.apply(event)
    assert restored.digest() == tape.state.digest()


def test_a_log_that_scales_nothing_counts_nothing() -> None:
    tape = Tape([make_start(prior_diagonal=[1.0, 1.0], discount=1.0, reward_scaling="none"), *FIRST[1:]])
    tape.say(1, [0.5] * 4)
    assert tape.state.rewards.seen == 0
    assert b'"rewards"' not in tape.state.to_bytes()


# the whole log


@pytest.fixture
async def stores() -> AsyncIterator[list[SqlStore]]:
    made = [SqlStore(None), SqlStore(None)]
    for store in made:
        await store.open()
        async with store.writing() as log:
            for event in FIRST:
                await log.append(event)
        await store.add_decisions([make_decision(id=f"d-{number}") for number in range(60)])
    yield made
    for store in made:
        await store.close()


async def test_feedback_is_scaled_the_same_alone_and_in_a_crowd(stores: list[SqlStore]) -> None:
    said = [
        make_feedback(
            "reward", (number * 7 % 20) / 20, decision_id=f"d-{number % 50}", idempotency_key=f"{number}"
        )
        for number in range(60)
    ]
    digests = []
    for store, together in zip(stores, (True, False), strict=True):
        learner = Learner(seed=0)
        await learner.load(store)
        log = EventLog(store=store, learner=learner, metrics=Metrics(), snapshot_every=1000)
        recorder = Recorder(store=store, log=log, metrics=Metrics())
        await log.start()
        if together:
            await recorder.record_all(said)
        else:
            for feedback in said:
                await recorder.record(feedback)
        await log.close()
        digests.append(learner.state.digest())
        assert learner.state.rewards.scale is not None
        assert (await verify(store)).digest == (await fold(store)).digest() == learner.state.digest()
    assert digests[0] == digests[1]
