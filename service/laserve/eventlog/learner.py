"""The learner: the bandit's state, folded from the log, and the draws of arms from it."""

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
    """An arm, drawn for a decision from a distribution over the eligible arms.

    Look here for the arm that replaces it when it fails (`without`).
    """

    decision_id: str
    #: Seed of all random numbers of the decision, together with its id.
    seed: int
    arm: str
    #: Probability of `arm`, in (0, 1]; None when the client or an ensemble policy fixed it.
    propensity: float | None
    why: tuple[ArmWhy, ...]
    #: Position of the state that it was drawn from.
    log_position: int
    #: Arm that an observed policy would have drawn; None where no policy is observed.
    preferred: str | None = None

    @property
    def explored(self) -> bool:
        """Whether another arm had a higher probability."""
        return self.propensity is not None and self.propensity < max(why.probability for why in self.why)

    @property
    def regret(self) -> float:
        """Best predicted reward minus that of the drawn arm."""
        means = {why.arm: why.mean for why in self.why}
        return max(means.values()) - means[self.arm]

    def without(self, failed: Collection[str]) -> str | None:
        """The next arm, from this distribution without the failed arms; None when no arm remains.

        Where the distribution gives every remaining arm probability 0, they are equally likely.
        """
        remaining = [why for why in self.why if why.arm not in failed]
        if not remaining:
            return None
        weights = np.array([why.probability for why in remaining])
        weights = weights if weights.any() else np.ones(len(remaining))
        u = uniform(self.seed, self.decision_id, len(failed))
        return remaining[draw(weights / weights.sum(), u)].arm


class Learner:
    """The bandit's state, into which committed events are folded, and the draws of arms from it.

    Args:
        seed: seed of every draw, together with the decision's id.
        tasks: declared tasks, each with blend weights of its own.
    """

    def __init__(self, *, seed: int, tasks: Sequence[str] = ()) -> None:
        self.seed = seed
        self.tasks = tuple(tasks)
        self.model = LinearModel(BanditState())

    @property
    def state(self) -> BanditState:
        return self.model.state

    async def load(self, store: Store) -> None:
        """Fold the newest intact snapshot and the events after it.

        Raises:
            CorruptLog: a row was altered, or the log does not reach the snapshot.
        """
        self.model = LinearModel(await fold(store, await store.latest_snapshot()))

    async def catch_up(self, store: Store) -> None:
        """Fold the events that other processes have appended. Raises CorruptLog at a row that was altered."""
        self.apply([event async for event in store.events(after=self.state.position)])

    def apply(self, events: Sequence[Event]) -> None:
        """Fold events in together, so that derived quantities are computed once."""
        self.model.apply(*events)

    def adopt(self, state: BanditState, events: Sequence[Event]) -> None:
        """Replace the state by a fork of it into which these events have been folded."""
        self.model.adopt(state, events)

    def snapshot(self, now: float) -> Snapshot:
        return Snapshot(
            position=self.state.position,
            digest=self.state.digest(),
            payload=self.state.to_bytes(),
            created_at=now,
        )

    def newcomer_mean(self) -> Vector:
        """The prior mean of a new arm: the mean theta of the arms that are not retired, shape (d,)."""
        arms = self.state.arms
        present = [name for name, arm in arms.items() if arm.status != "retired"] or list(arms)
        return np.asarray(np.mean([self.model.theta(arm) for arm in present], axis=0))

    def draw(self, policy: Policy, x: Vector, arms: Sequence[str], decision_id: str) -> Draw | None:
        """Draw an arm for a decision; None when the policy can choose none of them."""
        probabilities = policy.probabilities(self.model, x, arms, noise(self.seed, decision_id))
        if not probabilities.any():
            return None
        index = draw(probabilities, uniform(self.seed, decision_id))
        preferred = self._preferred(policy, x, arms, decision_id)
        self.model.took_turn(policy.name)
        return Draw(
            decision_id=decision_id,
            seed=self.seed,
            arm=arms[index],
            propensity=float(probabilities[index]),
            why=self._why(x, arms, probabilities),
            log_position=self.state.position,
            preferred=preferred,
        )

    def _preferred(self, policy: Policy, x: Vector, arms: Sequence[str], decision_id: str) -> str | None:
        if not isinstance(policy, Observed):
            return None
        probabilities = policy.policy.probabilities(self.model, x, arms, noise(self.seed, decision_id))
        index = (
            draw(probabilities, uniform(self.seed, f"observe:{decision_id}")) if probabilities.any() else None
        )
        self.model.took_turn(policy.policy.name)
        return None if index is None else arms[index]

    def pin(self, arm: str, x: Vector, arms: Sequence[str], decision_id: str) -> Draw:
        """The draw of an arm or ensemble that the client or the policy fixes, without a random number."""
        probabilities = np.array([float(name == arm) for name in arms])
        return Draw(
            decision_id=decision_id,
            seed=self.seed,
            arm=arm,
            propensity=None,
            why=self._why(x, arms, probabilities),
            log_position=self.state.position,
        )

    def _why(self, x: Vector, arms: Sequence[str], probabilities: Vector) -> tuple[ArmWhy, ...]:
        means, widths = self.model.means(x, arms), self.model.widths(x, arms)
        columns = zip(arms, means.tolist(), widths.tolist(), probabilities.tolist(), strict=True)
        return tuple(
            ArmWhy(arm=arm, mean=mean, width=width, probability=probability)
            for arm, mean, width, probability in columns
        )


async def fold(store: Store, snapshot: Snapshot | None = None) -> BanditState:
    """The state of the whole log, folded from a snapshot or from the first event.

    Raises:
        CorruptLog: a row was altered, or the snapshot's state does not match its digest.
    """
    state = BanditState() if snapshot is None else BanditState.from_bytes(snapshot.payload)
    if snapshot is not None and state.digest() != snapshot.digest:
        raise CorruptLog(f"the snapshot at {snapshot.position} does not match its digest")
    async for event in store.events(after=state.position):
        state.apply(event)
    return state
