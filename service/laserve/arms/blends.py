"""The arms that combine the others' scores, and how."""

from laserve.arms.arms import Arms
from laserve.bandit.policies.ensembles import Ensemble
from laserve.eventlog.learner import Learner


class Blends:
    """Tells arms that score by themselves from those that combine the others' scores.

    Look here for everything in which an arm of kind ``blend`` differs from the rest.
    """

    def __init__(self, *, arms: Arms, learner: Learner) -> None:
        self._arms = arms
        self._learner = learner

    def scores_alone(self, name: str) -> bool:
        """Whether there is an arm of this name, and its scores are not made of the others'."""
        arm = self._arms.get(name)
        return arm is not None and not arm.combines

    @property
    def alone(self) -> tuple[str, ...]:
        """Names of the eligible arms that score by themselves."""
        return tuple(name for name in self._arms.eligible if self.scores_alone(name))

    def ensembles(self, task: str | None) -> dict[str, Ensemble]:
        """Each ready arm that combines the others -> how it does, for a task."""
        return {
            name: self._learner.blend(name, task) for name in self._arms.ready if not self.scores_alone(name)
        }
