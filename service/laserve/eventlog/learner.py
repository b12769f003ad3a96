"""The bandit as the service holds it: state from the log, choices from the state."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.policies.base import Policy, draw, noise, uniform
from laserve.bandit.policies.observed import Observed
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.errors import CorruptLog
from laserve.storage.base import Snapshot, Store
from laserve.types import ArmWhy, Event, Vector


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One arm, drawn for a decision from a distribution over the eligible ones.

    Look here for what is drawn when that arm fails (`without`).
    """

    decision_id: str
    #: Of every number drawn for the decision, together with its id.
    seed: int
    arm: str
    #: Chance of `arm`; None when the client pinned it.
    propensity: float | None
    why: tuple[ArmWhy, ...]
    #: Position of the state that it was drawn by.
    log_position: int
    #: Arm that an observed policy would have drawn; None where the policy itself drew.
    preferred: str | None = None

    @property
    def explored(self) -> bool:
        """Whether another arm was likelier."""
        return self.propensity is not None and self.propensity < max(why.probability for why in self.why)

    @property
    def regret(self) -> float:
        """Best predicted reward minus that of the arm drawn."""
        means = {why.arm: why.mean for why in self.why}
        return max(means.values()) - means[self.arm]

    def without(self, failed: Collection[str]) -> str | None:
        """Another arm, from the same distribution without the failed ones; None when none is left.

        Where that distribution gives the others no chance at all, each has the same.
        """
        left = [why for why in self.why if why.arm not in failed]
        if not left:
            return None
        chances = np.array([why.probability for why in left])
        chances = chances if chances.any() else np.ones(len(left))
        return left[draw(chances / chances.sum(), uniform(self.seed, self.decision_id, len(failed)))].arm


class Learner:
    """Folds events as they are committed, and draws arms.

    Args:
        seed: of every draw, together with the decision's id.
        tasks: the declared ones, whose blends are learned apart.
    """

    def __init__(self, *, seed: int, tasks: Sequence[str] = ()) -> None:
        self.seed = seed
        self.tasks = tuple(tasks)
        self.model = LinearModel(BanditState())

    @property
    def state(self) -> BanditState:
        return self.model.state

    async def load(self, store: Store) -> None:
        """Fold the newest whole snapshot and the events behind it.

        Raises:
            CorruptLog: a row was altered, or the log does not reach the snapshot.
        """
        self.model = LinearModel(await fold(store, await store.latest_snapshot()))

    async def catch_up(self, store: Store) -> None:
        """Fold what others have appended meanwhile. Raises CorruptLog at a row that was altered."""
        self.apply([event async for event in store.events(after=self.state.position)])

    def apply(self, events: Sequence[Event]) -> None:
        """Fold events in, together: what they change is computed once."""
        self.model.apply(*events)

    def adopt(self, state: BanditState, events: Sequence[Event]) -> None:
        """Go on from a fork of the state into which these events have been folded."""
        self.model.adopt(state, events)

    def snapshot(self, now: float) -> Snapshot:
        return Snapshot(
            position=self.state.position,
            digest=self.state.digest(),
            payload=self.state.to_bytes(),
            created_at=now,
        )

    def newcomer_mean(self) -> Vector:
        """What a later arm is expected to do: the mean theta of the arms that are not retired, shape (d,)."""
        arms = self.state.arms
        present = [name for name, arm in arms.items() if arm.status != "retired"] or list(arms)
        return np.asarray(np.mean([self.model.theta(arm) for arm in present], axis=0))

    def draw(self, policy: Policy, x: Vector, arms: Sequence[str], decision_id: str) -> Draw | None:
        """Draw an arm for a decision; None when the policy can choose none of them."""
        chances = policy.probabilities(self.model, x, arms, noise(self.seed, decision_id))
        if not chances.any():
            return None
        index = draw(chances, uniform(self.seed, decision_id))
        preferred = self._preferred(policy, x, arms, decision_id)
        self.model.took_turn(policy.name)
        return Draw(
            decision_id=decision_id,
            seed=self.seed,
            arm=arms[index],
            propensity=float(chances[index]),
            why=self._why(x, arms, chances),
            log_position=self.state.position,
            preferred=preferred,
        )

    def _preferred(self, policy: Policy, x: Vector, arms: Sequence[str], decision_id: str) -> str | None:
        if not isinstance(policy, Observed):
            return None
        chances = policy.policy.probabilities(self.model, x, arms, noise(self.seed, decision_id))
        index = draw(chances, uniform(self.seed, f"observe:{decision_id}")) if chances.any() else None
        self.model.took_turn(policy.policy.name)
        return None if index is None else arms[index]

    def pin(self, arm: str, x: Vector, arms: Sequence[str], decision_id: str) -> Draw:
        """The draw of an arm or ensemble that nothing was drawn for: the client or the policy names it."""
        chances = np.array([float(name == arm) for name in arms])
        return Draw(
            decision_id=decision_id,
            seed=self.seed,
            arm=arm,
            propensity=None,
            why=self._why(x, arms, chances),
            log_position=self.state.position,
        )

    def _why(self, x: Vector, arms: Sequence[str], chances: Vector) -> tuple[ArmWhy, ...]:
        means, widths = self.model.means(x, arms), self.model.widths(x, arms)
        columns = zip(arms, means.tolist(), widths.tolist(), chances.tolist(), strict=True)
        return tuple(
            ArmWhy(arm=arm, mean=mean, width=width, probability=chance)
            for arm, mean, width, chance in columns
        )


async def fold(store: Store, snapshot: Snapshot | None = None) -> BanditState:
    """The state of the whole log, from a snapshot or from nothing.

    Raises:
        CorruptLog: a row was altered, or the snapshot's state is not the one it was taken of.
    """
    state = BanditState() if snapshot is None else BanditState.from_bytes(snapshot.payload)
    if snapshot is not None and state.digest() != snapshot.digest:
        raise CorruptLog(f"the snapshot at {snapshot.position} does not match its digest")
    async for event in store.events(after=state.position):
        state.apply(event)
    return state
