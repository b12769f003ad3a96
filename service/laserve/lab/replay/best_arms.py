"""Models of the best arm in each replay, learned from requests on which all arms' rewards are known."""

from collections.abc import Mapping, Sequence

from laserve.bandit.state.examples import Example, Examples, fit, preferences
from laserve.types import Update, Vector


class BestArms:
    """Examples and fits (`laserve.bandit.state.examples`) of several replays.

    Args:
        ridge: ridge of each feature, shape (d,), positive.
    """

    def __init__(self, *, replays: int, ridge: Vector) -> None:
        self._ridge = ridge
        self._examples = [Examples() for _ in range(replays)]
        #: Version of the examples that were fitted, and the weights by arm.
        self._fits: list[tuple[int, Mapping[str, Vector]]] = [(0, {})] * replays

    def learn(self, replay: int, question: str, x: Vector, rewards: Mapping[str, float]) -> None:
        """Learn one request of a replay from the reward of every arm that could be drawn."""
        updates = [Update(arm=arm, reward=reward) for arm, reward in rewards.items()]
        self._examples[replay].learn(question, Example.of(x, updates, tuple(rewards)))

    def preferences(self, replay: int, x: Vector, arms: Sequence[str]) -> Vector:
        """Chance that each arm is the best one, shape (len(arms),), sum 1; a new fit is made only here."""
        examples = self._examples[replay]
        if self._fits[replay][0] != examples.version:
            self._fits[replay] = (examples.version, fit(examples.fitted, self._ridge))
        return preferences(self._fits[replay][1], x, arms)
