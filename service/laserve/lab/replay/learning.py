"""Replay of one learner over a pool, from a cold start, in all orders at once."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from laserve.bandit.policies.base import Policy, draw
from laserve.config import Expected
from laserve.lab.replay.best_arms import BestArms
from laserve.lab.replay.models import LinearModels
from laserve.lab.replay.schedule import Indices, Schedule
from laserve.lab.replay.table import Mask, Matrix, Table
from laserve.lab.replay.view import View
from laserve.types import Vector

#: Requests after which a delayed reward arrives.
DELAY = 50
#: Name of the arm of kind ``blend``, and of the policy that always plays it.
BLEND = "blend"


@dataclass(frozen=True, kw_only=True)
class Mode:
    """The rewards that a learner gets, and their delay."""

    #: Suffix of the learner's name.
    suffix: str = ""
    #: Whether the learner gets the quality of all candidates. Then it learns the reward of every arm whose
    #: scores are known: all arms on shadowed requests and where `BLEND` answers, the free arms always.
    full: bool = False
    #: Requests between a decision and its reward.
    delay: int = 0


PARTIAL, FULL, DELAYED = Mode(), Mode(suffix=":full", full=True), Mode(suffix=":delayed", delay=DELAY)


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A policy on linear models of the rewards."""

    name: str
    policy: Policy
    #: Indices of the features that the learner sees, shape (d',).
    features: Indices
    #: Ridge and prior mean of those features, shape (d',).
    ridge: Vector
    mean: Vector
    #: Arm -> expected reward, and the number of requests that it counts for; then the first feature must be
    #: the bias.
    expected: Mapping[str, Expected] = field(default_factory=dict)
    #: Factor by which each learned decision reduces the weight of all earlier ones, in (0, 1].
    discount: float = 1.0
    #: Reward of `BLEND`, an arm in addition to those of the table, at each position of each order, shape
    #: (O, N); None if the learner does not have this arm.
    blend: Matrix | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """Arms that a learner drew, and the quality of its answers."""

    name: str
    mode: Mode
    #: Arms of the learner: those of the table, and `BLEND` if the learner has it.
    arms: tuple[str, ...]
    #: Index of the arm drawn at each position of each order, shape (O, N).
    picked: Indices
    #: Quality of that arm's answer, shape (O, N).
    rewards: Matrix


def chances(policy: Policy, view: View, x: Vector, seed: int) -> Vector:
    """The policy's propensities of the view's arms; the only call of a policy in a replay.

    Args:
        seed: seed for a policy that samples.
    """
    return policy.probabilities(view, x, view.arms, seed)


def replay(
    table: Table,
    learner: Learner,
    mode: Mode,
    schedule: Schedule,
    on_step: Callable[[], None] = lambda: None,
) -> Run:
    """Replay all questions in every order; the mode says which rewards are learned, and when.

    Args:
        on_step: called after each position.
    """
    return _Replay(table=table, learner=learner, mode=mode, schedule=schedule).run(on_step)


class _Replay:
    """State of one replay."""

    def __init__(self, *, table: Table, learner: Learner, mode: Mode, schedule: Schedule) -> None:
        self._table = table
        self._learner = learner
        self._mode = mode
        self._schedule = schedule
        self._x = table.x[:, learner.features]
        #: The table's K arms or, with `BLEND`, K + 1; which have scores of a question, and which are free.
        self._arms, self._available, self._free = table.arms, table.available, table.free
        if learner.blend is not None:
            self._arms = (*table.arms, BLEND)
            self._available = np.hstack([table.available, table.available.any(axis=1, keepdims=True)])
            self._free = np.append(table.free, False)
        self._eligible = _Eligible(self._arms, self._available)
        #: Reward of each arm at each position of each order, shape (O, N, K).
        self._rewards = table.rewards[schedule.orders]
        if learner.blend is not None:
            self._rewards = np.concatenate([self._rewards, learner.blend[:, :, None]], axis=2)
        #: Sums of (1 - reward) / chance over the answers of each arm, shape (O, K).
        self._losses = np.zeros((schedule.replays, len(self._arms)))
        self._best = BestArms(replays=schedule.replays, ridge=learner.ridge)
        self._models = LinearModels(
            replays=schedule.replays,
            arms=len(self._arms),
            ridge=learner.ridge,
            mean=learner.mean,
            discount=learner.discount,
        )
        for index, arm in enumerate(self._arms):
            if (expected := learner.expected.get(arm)) is not None:
                self._models.add_prior(index, expected.reward, expected.n)

    def run(self, on_step: Callable[[], None]) -> Run:
        orders = self._schedule.orders
        picked, chance = np.empty(orders.shape, dtype=np.intp), np.empty(orders.shape)
        waiting: deque[int] = deque()
        for position in range(orders.shape[1]):
            picked[:, position], chance[:, position] = self._pick(orders[:, position], position)
            waiting.append(position)
            while len(waiting) > self._mode.delay:
                known = waiting.popleft()
                self._learn(orders[:, known], picked[:, known], chance[:, known], self._rewards[:, known])
            on_step()
        return Run(
            name=self._learner.name + self._mode.suffix,
            mode=self._mode,
            arms=self._arms,
            picked=picked,
            rewards=np.take_along_axis(self._rewards, picked[:, :, None], axis=2)[:, :, 0],
        )

    def _pick(self, questions: Indices, turn: int) -> tuple[Indices, Vector]:
        """Index of the drawn arm for each replay's question, and its propensity, shape (O,) each."""
        means, widths = self._models.predict(self._x[questions])
        picked, chance = np.empty(len(questions), dtype=np.intp), np.empty(len(questions))
        for order, question in enumerate(questions):
            arms, indices = self._eligible.of(question)
            view = View(
                decisions=self._models.decisions,
                evidence=self._models.evidence,
                turns=turn,
                arms=arms,
                mean=means[order, indices],
                width=widths[order, indices],
                count=self._models.counts[order, indices],
                reward_sum=self._models.sums[order, indices],
                loss=self._losses[order, indices],
                best=partial(self._best.preferences, order),
            )
            seed = int(self._schedule.seeds[order, question])
            probabilities = chances(self._learner.policy, view, self._x[question], seed)
            drawn = draw(probabilities, float(self._schedule.draws[order, question]))
            picked[order], chance[order] = indices[drawn], probabilities[drawn]
        return picked, chance

    def _learn(self, questions: Indices, picked: Indices, chance: Vector, rewards: Matrix) -> None:
        """Learn the reward of each replay's answer and, in a full mode, the known rewards of other arms.

        Args:
            rewards: reward of each arm for these questions, shape (O, K).
        """
        replays = np.arange(len(questions))
        teaching = np.zeros(rewards.shape, dtype=np.bool_)
        teaching[replays, picked] = True
        if self._mode.full:
            scored = self._schedule.shadowed[replays, questions] | (picked == len(self._table.arms))
            teaching |= (scored[:, None] | self._free) & self._available[questions]
            unknown = self._available[questions] & ~teaching
            self._compare(questions, ~np.any(unknown, axis=1), rewards)
        self._models.begin_decision()
        self._losses *= self._learner.discount
        where, arms = np.nonzero(teaching)
        self._models.learn(where, arms, self._x[questions[where]], rewards[where, arms])
        self._losses[replays, picked] += (1 - rewards[replays, picked]) / chance

    def _compare(self, questions: Indices, known: Mask, rewards: Matrix) -> None:
        """Learn the best arm from the questions for which every arm's reward is known."""
        for order in np.flatnonzero(known):
            question = questions[order]
            arms, indices = self._eligible.of(question)
            by_arm = dict(zip(arms, rewards[order, indices].tolist(), strict=True))
            self._best.learn(order, self._table.ids[question], self._x[question], by_arm)


class _Eligible:
    """The arms that have scores of a question, by name and by index."""

    def __init__(self, arms: tuple[str, ...], available: Mask) -> None:
        self._arms, self._available = arms, available
        self._known: dict[bytes, tuple[tuple[str, ...], Indices]] = {}
        self._patterns = [row.tobytes() for row in available]

    def of(self, question: int) -> tuple[tuple[str, ...], Indices]:
        pattern = self._patterns[question]
        if pattern not in self._known:
            indices = np.flatnonzero(self._available[question])
            self._known[pattern] = (tuple(self._arms[index] for index in indices), indices)
        return self._known[pattern]
