"""Replay of a learner over a pool: the rewards that it learns, their delay, and its choices."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from laserve.bandit.policies.base import View
from laserve.bandit.policies.classifier import Classifier
from laserve.bandit.policies.exploration import Exploration
from laserve.bandit.policies.linucb import LinUCB
from laserve.lab.replay.best_arms import BestArms
from laserve.lab.replay.learning import DELAYED, FULL, PARTIAL, Learner, Mode, replay
from laserve.lab.replay.schedule import Schedule
from laserve.lab.replay.table import Table
from laserve.types import Vector
from replay_tables import make_table, two_tasks


@dataclass
class Recorder:
    """Always draws the first arm, and keeps what it was shown."""

    name: str = "recorder"
    means: list[Vector] = field(default_factory=list)
    decisions: list[int] = field(default_factory=list)
    arms: list[tuple[str, ...]] = field(default_factory=list)

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        self.means.append(view.means(x, arms))
        self.decisions.append(view.decisions)
        self.arms.append(tuple(arms))
        return np.array([1.0] + [0.0] * (len(arms) - 1))


@dataclass
class LastArm(Recorder):
    """Always draws the last arm."""

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        return super().probabilities(view, x, arms, seed)[::-1]


def make_learner(table: Table, policy: object, features: Sequence[int] | None = None) -> Learner:
    indices = np.arange(table.x.shape[1]) if features is None else np.array(features)
    mean = np.array([0.5 if index == 0 else 0.0 for index in indices])
    return Learner(name="learner", policy=policy, features=indices, ridge=np.ones(len(indices)), mean=mean)  # type: ignore[arg-type]


def make_schedule(table: Table, *, orders: int = 1, shadow_share: float = 0.25) -> Schedule:
    return Schedule.make(table.ids, orders=orders, shadow_share=shadow_share, seed=0)


def make_linucb(*, alpha: float = 0.2, epsilon: float = 0.0) -> LinUCB:
    exploration = Exploration(epsilon=epsilon, epsilon_start=epsilon, epsilon_start_decisions=0)
    return LinUCB(alpha=alpha, exploration=exploration)


LINUCB = make_linucb()


def test_a_replay_starts_cold() -> None:
    table, recorder = make_table(np.ones((4, 2))), Recorder()
    replay(table, make_learner(table, recorder), PARTIAL, make_schedule(table))
    assert recorder.means[0].tolist() == [0.5, 0.5]


def test_a_partial_learner_learns_of_the_arm_that_it_played_alone() -> None:
    table, recorder = make_table(np.ones((30, 2)), d=2), Recorder()
    bias = make_learner(table, recorder, features=[0])
    replay(table, bias, PARTIAL, make_schedule(table, shadow_share=1.0))
    first, second = np.transpose(recorder.means)
    assert (np.diff(first) > 0).all(), "it nears 1"
    assert second.tolist() == [0.5] * 30


def test_a_full_learner_learns_of_every_arm_on_the_shadowed_requests() -> None:
    table, recorder = make_table(np.ones((40, 3)), d=2), Recorder()
    schedule = make_schedule(table)
    replay(table, make_learner(table, recorder, features=[0]), FULL, schedule)
    learned = np.diff([means[1] for means in recorder.means]) > 0
    assert learned.tolist() == schedule.shadowed[0, schedule.orders[0]][:-1].tolist()


def test_a_full_learner_learns_of_the_free_arms_on_every_request() -> None:
    table, recorder = make_table(np.ones((30, 3)), d=2, free=np.array([False, True, False])), Recorder()
    learner = make_learner(table, recorder, features=[0])
    replay(table, learner, FULL, make_schedule(table, shadow_share=0.0))
    first, free, other = np.transpose(recorder.means)
    assert (np.diff(first) > 0).all()
    assert free.tolist() == first.tolist()
    assert other.tolist() == [0.5] * 30


@pytest.mark.parametrize(("mode", "learned"), [(FULL, True), (PARTIAL, False)])
def test_an_arm_that_combines_earns_its_own_and_lets_a_full_learner_learn_of_all(
    mode: Mode, learned: bool
) -> None:
    table = make_table(np.zeros((20, 2)), d=2)
    schedule = make_schedule(table, orders=2, shadow_share=0.0)
    earned = np.stack([np.linspace(0, 1, 20), np.linspace(1, 0, 20)])
    recorder = LastArm()
    learner = replace(make_learner(table, recorder, features=[0]), blend=earned)
    run = replay(table, learner, mode, schedule)
    assert run.arms == ("a", "b", "blend")
    np.testing.assert_array_equal(run.picked, np.full((2, 20), 2))
    np.testing.assert_array_equal(run.rewards, earned)
    others = np.array(recorder.means)[::2, :2]
    assert (np.diff(others[:, 0]) < 0).all() == learned
    assert (others == 0.5).all() != learned
    for order in range(2):
        np.testing.assert_allclose(np.array(recorder.means)[order::2, 2], means_of(earned[order]))


def test_a_full_learner_compares_the_arms_wherever_it_knows_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    monkeypatch.setattr(BestArms, "learn", lambda _, order, *steps: compared.append(order))
    for free, count in (([False, True], 20), ([True, True], 20), ([False, False], 0)):
        compared.clear()
        table = make_table(np.ones((20, 2)), free=np.array(free))
        replay(table, make_learner(table, Recorder()), FULL, make_schedule(table, shadow_share=0.0))
        assert len(compared) == count


def means_of(rewards: Vector, delay: int = 0) -> Vector:
    """What an arm with the bias alone, ridge 1 and prior mean 0.5 is expected to earn before each reward."""
    count = np.maximum(np.arange(len(rewards)) - delay, 0)
    return np.concatenate([[0.5], 0.5 + np.cumsum(rewards)])[count] / (1 + count)


def test_with_a_discount_a_learner_goes_with_what_was_earned_last() -> None:
    rewards = np.repeat([0.0, 1.0], 20)
    table, recorder = make_table(np.stack([rewards, rewards], axis=1)), Recorder()
    schedule = replace(make_schedule(table), orders=np.arange(40)[None, :])
    learner = make_learner(table, recorder, features=[0])
    replay(table, learner, PARTIAL, schedule)
    replay(table, replace(learner, discount=0.8), PARTIAL, schedule)
    keeps, forgets = recorder.means[39][0], recorder.means[79][0]
    assert keeps < 0.5 < 0.8 < forgets


def test_the_reward_that_arrives_late_is_that_of_its_own_question() -> None:
    rewards = np.linspace(0, 1, 60)
    table, recorder = make_table(np.stack([rewards, rewards], axis=1)), Recorder()
    schedule = make_schedule(table)
    replay(table, make_learner(table, recorder, features=[0]), Mode(delay=3), schedule)
    means = np.array(recorder.means)[:, 0]
    np.testing.assert_allclose(means, means_of(rewards[schedule.orders[0]], delay=3))


@pytest.mark.parametrize(("mode", "delay"), [(PARTIAL, 0), (DELAYED, 50), (Mode(delay=3), 3)])
def test_a_reward_is_known_after_the_delay_and_not_before(mode: Mode, delay: int) -> None:
    table, recorder = make_table(np.ones((60, 2))), Recorder()
    replay(table, make_learner(table, recorder), mode, make_schedule(table))
    assert recorder.decisions == [max(position - delay, 0) for position in range(60)]
    moved = [bool(means[0] != 0.5) for means in recorder.means]
    assert moved.index(True) == delay + 1


def test_arms_without_scores_of_a_question_cannot_be_drawn_for_it() -> None:
    available = np.ones((50, 3), dtype=np.bool_)
    available[::2, 1] = False
    table, recorder = make_table(np.ones((50, 3)), available=available), Recorder()
    schedule = make_schedule(table)
    run = replay(table, make_learner(table, recorder), FULL, schedule)
    assert [
        ("a", "c") if index % 2 == 0 else ("a", "b", "c") for index in schedule.orders[0]
    ] == recorder.arms
    uniform = make_learner(table, make_linucb(epsilon=1.0))
    random = replay(table, uniform, PARTIAL, schedule)
    assert available[schedule.orders, run.picked].all()
    assert available[schedule.orders, random.picked].all()
    assert set(random.picked.ravel()) == {0, 1, 2}


def test_replays_side_by_side_are_those_of_each_order_alone() -> None:
    table = two_tasks(120)
    whole = make_schedule(table, orders=3)
    together = replay(table, make_learner(table, LINUCB), FULL, whole)
    for order in range(3):
        alone = Schedule(
            orders=whole.orders[order : order + 1],
            draws=whole.draws[order : order + 1],
            seeds=whole.seeds[order : order + 1],
            shadowed=whole.shadowed[order : order + 1],
        )
        picked = replay(table, make_learner(table, LINUCB), FULL, alone).picked
        np.testing.assert_array_equal(picked[0], together.picked[order])


def test_linucb_finds_the_best_arm_of_each_task_where_x_tells_the_task_and_not_without_x() -> None:
    table = two_tasks(400)
    schedule = make_schedule(table, orders=4)
    right = (np.arange(400) % 2)[schedule.orders]
    seeing = replay(table, make_learner(table, LINUCB), PARTIAL, schedule)
    blind = replay(table, make_learner(table, LINUCB, features=[0]), PARTIAL, schedule)
    assert (seeing.picked == right)[:, 200:].mean() > 0.95
    assert (blind.picked == right)[:, 200:].mean() < 0.65
    assert (seeing.name, replay(table, make_learner(table, LINUCB), DELAYED, schedule).name) == (
        "learner",
        "learner:delayed",
    )


def test_a_classifier_learns_from_the_requests_that_all_arms_have_scored() -> None:
    table = two_tasks(400)
    schedule = make_schedule(table, orders=2)
    right = (np.arange(400) % 2)[schedule.orders]
    exploration = Exploration(epsilon=0.0, epsilon_start=0.0, epsilon_start_decisions=0)
    classifier = make_learner(table, Classifier(exploration=exploration))
    full = replay(table, classifier, FULL, schedule)
    partial = replay(table, classifier, PARTIAL, schedule)
    assert (full.picked == right)[:, 300:].mean() > 0.95
    assert (partial.picked == right)[:, 300:].mean() < 0.7, "it has nothing to learn from"


def test_each_position_is_told() -> None:
    table, steps = make_table(np.ones((7, 2))), []
    replay(table, make_learner(table, LINUCB), PARTIAL, make_schedule(table), lambda: steps.append(1))
    assert len(steps) == 7
