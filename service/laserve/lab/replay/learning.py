"""One learner over a pool, from a cold start, in all orders at once."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from laserve.bandit.policies.base import Policy, draw
from laserve.config import Expected
from laserve.lab.replay.best_arms import BestArms
from laserve.lab.replay.models import LinearModels
from laserve.lab.replay.schedule import Places, Schedule
from laserve.lab.replay.table import Mask, Matrix, Table
from laserve.lab.replay.view import View
from laserve.types import Vector

#: Requests after which a delayed reward arrives.
DELAY = 50
#: Name of the arm of kind ``blend``, and of the policy that always plays it.
BLEND = "blend"


@dataclass(frozen=True, kw_only=True)
class Mode:
    """What a learner is told, and when."""

    #: Follows the learner's name.
    suffix: str = ""
    #: Whether it is told the quality of all candidates: then it learns the reward of every arm whose scores
    #: are known: of all on the shadowed requests and where `BLEND` answers, of the free ones always.
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
    #: What a decision still counts after another one was learned, in (0, 1].
    discount: float = 1.0
    #: What `BLEND`, an arm besides those of the table, earns at each position of each order, shape (O, N);
    #: None where there is no such arm.
    blend: Matrix | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a learner did."""

    name: str
    mode: Mode
    #: The arms that it had: those of the table, and perhaps `BLEND`.
    arms: tuple[str, ...]
    #: Place of the arm that it drew at each position of each order, shape (O, N).
    picked: Places
    #: Quality of the answer there, shape (O, N).
    rewards: Matrix


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
        #: The table's K arms or, with `BLEND`, K + 1; who has scores of a question, and whose are free.
        self._arms, self._available, self._free = table.arms, table.available, table.free
        if learner.blend is not None:
            self._arms = (*table.arms, BLEND)
            self._available = np.hstack([table.available, table.available.any(axis=1, keepdims=True)])
            self._free = np.append(table.free, False)
        self._eligible = _Eligible(self._arms, self._available)
        #: What each arm earns at each position of each order, shape (O, N, K).
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
        for place, arm in enumerate(self._arms):
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
                self._learn(orders[:, known], picked[:, known], chance[:, known], self._rewards[:, known])
            advanced()
        return Run(
            name=self._learner.name + self._mode.suffix,
            mode=self._mode,
            arms=self._arms,
            picked=picked,
            rewards=np.take_along_axis(self._rewards, picked[:, :, None], axis=2)[:, :, 0],
        )

    def _pick(self, asked: Places, turn: int) -> tuple[Places, Vector]:
        """The arm that is drawn for each replay's question, and the chance that it had, shape (O,) each."""
        means, widths = self._models.predict(self._x[asked])
        picked, chance = np.empty(len(asked), dtype=np.intp), np.empty(len(asked))
        for order, question in enumerate(asked):
            arms, places = self._eligible.of(question)
            view = View(
                decisions=self._models.decisions,
                evidence=self._models.evidence,
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

    def _learn(self, asked: Places, picked: Places, chance: Vector, rewards: Matrix) -> None:
        """The reward of each replay's answer, and where it is told more, those of other arms too.

        Args:
            rewards: what each arm earns there, shape (O, K).
        """
        replays = np.arange(len(asked))
        teaching = np.zeros(rewards.shape, dtype=np.bool_)
        teaching[replays, picked] = True
        if self._mode.full:
            scored = self._schedule.shadowed[replays, asked] | (picked == len(self._table.arms))
            teaching |= (scored[:, None] | self._free) & self._available[asked]
            unknown = self._available[asked] & ~teaching
            self._compare(asked, ~np.any(unknown, axis=1), rewards)
        self._models.begin_decision()
        self._losses *= self._learner.discount
        where, arms = np.nonzero(teaching)
        self._models.learn(where, arms, self._x[asked[where]], rewards[where, arms])
        self._losses[replays, picked] += (1 - rewards[replays, picked]) / chance

    def _compare(self, asked: Places, known: Mask, rewards: Matrix) -> None:
        """Tell which arms were best for the questions of which every arm's reward is known."""
        for order in np.flatnonzero(known):
            question = asked[order]
            arms, places = self._eligible.of(question)
            told = dict(zip(arms, rewards[order, places].tolist(), strict=True))
            self._best.learn(order, self._table.ids[question], self._x[question], told)


class _Eligible:
    """The arms that have scores of a question, by name and by place."""

    def __init__(self, arms: tuple[str, ...], available: Mask) -> None:
        self._arms, self._available = arms, available
        self._known: dict[bytes, tuple[tuple[str, ...], Places]] = {}
        self._patterns = [row.tobytes() for row in available]

    def of(self, question: int) -> tuple[tuple[str, ...], Places]:
        pattern = self._patterns[question]
        if pattern not in self._known:
            places = np.flatnonzero(self._available[question])
            self._known[pattern] = (tuple(self._arms[place] for place in places), places)
        return self._known[pattern]
