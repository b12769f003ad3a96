"""The arms that combine the scores of other arms, and their ensembles."""

from collections.abc import Mapping

from laserve.arms.arms import Arms
from laserve.bandit.policies.ensembles import Ensemble, weighted
from laserve.eventlog.learner import Learner
from laserve.types import Vector, task_label


class Blends:
    """The division of the arms into those that score by themselves and those that combine other arms' scores.

    Look here for every way in which an arm of kind ``blend`` differs from other arms; the weights are learned
    in `laserve.bandit.state.blending`.
    """

    def __init__(self, *, arms: Arms, learner: Learner) -> None:
        self._arms = arms
        self._learner = learner

    def scores_alone(self, name: str) -> bool:
        """Whether the arm exists and does not combine the scores of other arms."""
        arm = self._arms.get(name)
        return arm is not None and not arm.combines

    @property
    def alone(self) -> tuple[str, ...]:
        """Names of the eligible arms that score by themselves."""
        return tuple(name for name in self._arms.eligible if self.scores_alone(name))

    def ensembles(self, task: str | None) -> dict[str, Ensemble]:
        """Each ready arm that combines other arms -> its ensemble, with the weights learned for the task."""
        label = task_label(task, self._learner.tasks)

        def combine(scores: Mapping[str, Vector]) -> Vector:
            arms = tuple(scores)
            weights = self._learner.state.blending.weights(label, arms)
            return weighted(scores, dict(zip(arms, weights.tolist(), strict=True)))

        return {name: Ensemble(name, combine) for name in self._arms.ready if not self.scores_alone(name)}
