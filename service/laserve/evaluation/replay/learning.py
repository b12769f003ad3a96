"""One learner over a pool, from a cold start, in all orders at once."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from laserve.bandit.base import Policy, draw
from laserve.config import Expected
from laserve.evaluation.replay.best_arms import BestArms
from laserve.evaluation.replay.models import LinearModels
from laserve.evaluation.replay.schedule import Places, Schedule
from laserve.evaluation.replay.table import Mask, Table
from laserve.evaluation.replay.view import View
from laserve.types import Vector

#: Requests after which a delayed reward arrives.
DELAY = 50


@dataclass(frozen=True, kw_only=True)
class Mode:
    """What a learner is told, and when."""

    #: Follows the learner's name.
    suffix: str = ""
    #: Whether it learns every arm's reward on the shadowed requests.
    full: bool = False
    #: Requests between a decision and its reward.
    delay: int = 0


PARTIAL, FULL, DELAYED = Mode(), Mode(suffix=":full", full=True), Mode(suffix=":delayed", delay=DELAY)


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A policy on linear models of the rewards."""

    name: str
    policy: Policy
    #: Places of the features that it sees, shape (d',).
    features: Places
    #: Ridge and prior mean of those features, shape (d',).
    ridge: Vector
    mean: Vector
    #: Arm -> the reward that it is expected to earn, and the requests that this counts for; the first of the
    #: features is the bias then.
    expected: Mapping[str, Expected] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a learner did."""

    name: str
    mode: Mode
    #: Place of the arm that it drew at each position of each order, shape (O, N).
    picked: Places


def chances(policy: Policy, view: View, x: Vector, seed: int) -> Vector:
    """The policy's chances of the view's arms: the one place that asks a policy.

    Args:
        seed: of a policy that samples.
    """
    return policy.probabilities(view, x, view.arms, seed)


def replay(
    table: Table,
    learner: Learner,
    mode: Mode,
    schedule: Schedule,
    advanced: Callable[[], None] = lambda: None,
) -> Run:
    """Ask the learner all questions in every order; it learns as the mode tells it.

    Args:
        advanced: called after each position.
    """
    return _Replay(table=table, learner=learner, mode=mode, schedule=schedule).run(advanced)


class _Replay:
    """A learner under way."""

    def __init__(self, *, table: Table, learner: Learner, mode: Mode, schedule: Schedule) -> None:
        self._table = table
        self._learner = learner
        self._mode = mode
        self._schedule = schedule
        self._x = table.x[:, learner.features]
        self._eligible = _Eligible(table)
        #: Sums of (1 - reward) / chance over the answers of each arm, shape (O, K).
        self._losses = np.zeros((schedule.replays, len(table.arms)))
        self._best = BestArms(replays=schedule.replays, ridge=learner.ridge)
        self._models = LinearModels(
            replays=schedule.replays, arms=len(table.arms), ridge=learner.ridge, mean=learner.mean
        )
        for place, arm in enumerate(table.arms):
            if (expected := learner.expected.get(arm)) is not None:
                self._models.expect(place, expected.reward, expected.n)

    def run(self, advanced: Callable[[], None]) -> Run:
        orders = self._schedule.orders
        picked, chance = np.empty(orders.shape, dtype=np.intp), np.empty(orders.shape)
        waiting: deque[int] = deque()
        for position in range(orders.shape[1]):
            picked[:, position], chance[:, position] = self._pick(orders[:, position], position)
            waiting.append(position)
            while len(waiting) > self._mode.delay:
                known = waiting.popleft()
                self._learn(orders[:, known], picked[:, known], chance[:, known])
            advanced()
        return Run(name=self._learner.name + self._mode.suffix, mode=self._mode, picked=picked)

    def _pick(self, asked: Places, turn: int) -> tuple[Places, Vector]:
        """The arm that is drawn for each replay's question, and the chance that it had, shape (O,) each."""
        means, widths = self._models.predict(self._x[asked])
        picked, chance = np.empty(len(asked), dtype=np.intp), np.empty(len(asked))
        for order, question in enumerate(asked):
            arms, places = self._eligible.of(question)
            view = View(
                decisions=self._models.decisions,
                turns=turn,
                arms=arms,
                mean=means[order, places],
                width=widths[order, places],
                count=self._models.counts[order, places],
                reward_sum=self._models.sums[order, places],
                loss=self._losses[order, places],
                best=partial(self._best.preferences, order),
            )
            seed = int(self._schedule.seeds[order, question])
            found = chances(self._learner.policy, view, self._x[question], seed)
            drawn = draw(found, float(self._schedule.draws[order, question]))
            picked[order], chance[order] = places[drawn], found[drawn]
        return picked, chance

    def _learn(self, asked: Places, picked: Places, chance: Vector) -> None:
        """The reward of each replay's answer; where the question is shadowed, those of the other arms too."""
        replays = np.arange(len(asked))
        teaching = np.zeros((len(asked), len(self._table.arms)), dtype=np.bool_)
        teaching[replays, picked] = True
        if self._mode.full:
            shadowed = self._schedule.shadowed[replays, asked]
            teaching |= shadowed[:, None] & self._table.available[asked]
            self._compare(asked, shadowed)
        where, arms = np.nonzero(teaching)
        questions = asked[where]
        self._models.learn(where, arms, self._x[questions], self._table.rewards[questions, arms])
        self._models.decisions += 1
        self._losses[replays, picked] += (1 - self._table.rewards[asked, picked]) / chance

    def _compare(self, asked: Places, shadowed: Mask) -> None:
        """Tell which arms were best for the questions that all have scored."""
        for order in np.flatnonzero(shadowed):
            question = asked[order]
            arms, places = self._eligible.of(question)
            rewards = dict(zip(arms, self._table.rewards[question, places].tolist(), strict=True))
            self._best.learn(order, self._table.ids[question], self._x[question], rewards)


class _Eligible:
    """The arms that have scores of a question, by name and by place."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[bytes, tuple[tuple[str, ...], Places]] = {}
        self._patterns = [row.tobytes() for row in table.available]

    def of(self, question: int) -> tuple[tuple[str, ...], Places]:
        pattern = self._patterns[question]
        if pattern not in self._known:
            places = np.flatnonzero(self._table.available[question])
            self._known[pattern] = (tuple(self._table.arms[place] for place in places), places)
        return self._known[pattern]
