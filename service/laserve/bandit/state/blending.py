"""The weights of `blend`, the arm that combines the others: a ridge regression of quality on z-scores.

Within each learned request the scores of the arms and the qualities of the candidates are standardised, so
that neither the arms' units nor the difficulty of the request matters. The state holds sums of products,
to which decisions are added one at a time, in log order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from laserve.bandit.policies.ensembles import standardised
from laserve.bandit.state.changes import KeptShare, all_kept
from laserve.types import Vector

#: Strengths of the priors, in decisions: equal weights for the global weights, these for a task's weights.
GLOBAL_PRIOR, TASK_PRIOR = 20.0, 20.0
#: Prior correlation of an arm's scores with quality.
_EXPECTED = 0.3


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Mean products of the arms' scores and the candidates' qualities in one decision."""

    task: str
    arms: tuple[str, ...]
    #: Mean over the candidates of z_a z_b, shape (K, K), rows in the order of `arms`.
    gram: tuple[tuple[float, ...], ...]
    #: Mean over the candidates of z_a times the standardised quality, shape (K,).
    moment: tuple[float, ...]

    @classmethod
    def of(
        cls, task: str, scores: Mapping[str, Sequence[float | None]], qualities: Sequence[float]
    ) -> "Lesson | None":
        """None where fewer than two arms scored every candidate, or all candidates are equally good.

        Args:
            scores: arm -> its scores, shape (n,).
            qualities: shape (n,).
        """
        complete = {arm: each for arm, each in sorted(scores.items()) if None not in each}
        quality = standardised(np.array(qualities, dtype=np.float64))
        if len(complete) < 2 or not quality.any():
            return None
        z = np.array([standardised(np.array(each, dtype=np.float64)) for each in complete.values()])
        gram, moment = z @ z.T / len(quality), z @ quality / len(quality)
        return cls(
            task=task,
            arms=tuple(complete),
            gram=tuple(tuple(row) for row in gram.tolist()),
            moment=tuple(moment.tolist()),
        )

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Lesson":
        return cls(
            task=body["task"],
            arms=tuple(body["arms"]),
            gram=tuple(map(tuple, body["gram"])),
            moment=tuple(body["moment"]),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "arms": list(self.arms),
            "gram": [list(row) for row in self.gram],
            "moment": list(self.moment),
        }


@dataclass(kw_only=True)
class Sums:
    """Sums over lessons, and numbers of lessons, by arm and by pair of arms."""

    gram: dict[str, dict[str, float]] = field(default_factory=dict)
    moment: dict[str, float] = field(default_factory=dict)
    #: Number of lessons with both arms; a whole number until a change decays it.
    pairs: dict[str, dict[str, float]] = field(default_factory=dict)

    def copy(self) -> "Sums":
        return Sums(
            gram={arm: dict(others) for arm, others in self.gram.items()},
            moment=dict(self.moment),
            pairs={arm: dict(others) for arm, others in self.pairs.items()},
        )

    def add(self, lesson: Lesson, sign: int, kept_share: KeptShare = all_kept) -> None:
        """Add a lesson, or take it back, weighted by the share of it that changes keep."""
        for row, arm in enumerate(lesson.arms):
            gram = self.gram.setdefault(arm, {})
            pairs = self.pairs.setdefault(arm, {})
            self.moment[arm] = self.moment.get(arm, 0.0) + sign * kept_share((arm,)) * lesson.moment[row]
            for other, value in zip(lesson.arms, lesson.gram[row], strict=True):
                share = kept_share((arm, other))
                gram[other] = gram.get(other, 0.0) + sign * share * value
                pairs[other] = pairs.get(other, 0) + (sign if share == 1.0 else sign * share)

    def decay(self, kept: float, arm: str | None) -> None:
        """Keep a share of the sums that an arm has a part in; None stands for all arms."""
        for one in self.moment:
            if arm in (None, one):
                self.moment[one] *= kept
            for other in self.gram[one]:
                if arm in (None, one, other):
                    self.gram[one][other] *= kept
                    self.pairs[one][other] *= kept

    def regress(self, arms: Sequence[str], towards: Vector, prior: float) -> Vector:
        """(C + R)^-1 (m + R t): the ridge regression of quality on z-scores, shape (K,).

        C holds the mean products of z-scores, m those with quality, each over the decisions that have both
        factors; R = diag(prior / (n_a + 1)) with n_a the decisions of arm a. An arm without decisions stays
        at `towards`.

        Args:
            towards: weights that the regression is shrunk to, shape (K,).
            prior: strength of the shrinkage, in decisions.
        """
        counts = np.array([[self.pairs.get(a, {}).get(b, 0) for b in arms] for a in arms], dtype=np.float64)
        gram = np.array([[self.gram.get(a, {}).get(b, 0.0) for b in arms] for a in arms])
        moment = np.array([self.moment.get(arm, 0.0) for arm in arms])
        divisors = np.maximum(counts, 1.0)
        ridge = prior / (np.diag(counts) + 1.0)
        products = _positive(gram / divisors)
        weights = np.linalg.solve(products + np.diag(ridge), moment / np.diag(divisors) + ridge * towards)
        return np.asarray(weights, dtype=np.float64)


@dataclass(kw_only=True)
class Blending:
    """State of `blend`: the sums of each task."""

    tasks: dict[str, Sums] = field(default_factory=dict)

    def copy(self) -> "Blending":
        return Blending(tasks={task: sums.copy() for task, sums in self.tasks.items()})

    def learn(self, lesson: Lesson, sign: int, kept_share: KeptShare = all_kept) -> None:
        self.tasks.setdefault(lesson.task, Sums()).add(lesson, sign, kept_share)

    def decay(self, kept: float, arm: str | None) -> None:
        """Keep a share of the sums of an arm; None stands for all arms."""
        for sums in self.tasks.values():
            sums.decay(kept, arm)

    @classmethod
    def from_json(cls, body: Mapping[str, Mapping[str, Any]]) -> "Blending":
        return cls(tasks={task: Sums(**sums) for task, sums in body.items()})

    def to_json(self) -> dict[str, Any]:
        return {task: vars(sums) for task, sums in self.tasks.items()}

    def weights(self, task: str, arms: Sequence[str]) -> Vector:
        """Weights of the arms' z-scores, shape (K,): those of the task, shrunk to those of all tasks.

        Before the first lesson the weights are equal, as in the ensemble of mean z-scores.
        """
        merged = Sums()
        for sums in self.tasks.values():
            _merge(merged, sums)
        equal = np.full(len(arms), _EXPECTED / len(arms))
        everywhere = merged.regress(arms, equal, GLOBAL_PRIOR)
        return self.tasks.get(task, Sums()).regress(arms, everywhere, TASK_PRIOR)


def _merge(total: Sums, part: Sums) -> None:
    for arm, moment in part.moment.items():
        total.moment[arm] = total.moment.get(arm, 0.0) + moment
        for other, value in part.gram[arm].items():
            gram, pairs = total.gram.setdefault(arm, {}), total.pairs.setdefault(arm, {})
            gram[other] = gram.get(other, 0.0) + value
            pairs[other] = pairs.get(other, 0) + part.pairs[arm][other]


def _positive(matrix: Any) -> Any:
    """The nearest positive semidefinite matrix, since means over different decisions may not be one."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T
