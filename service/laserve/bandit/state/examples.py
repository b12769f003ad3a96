"""Examples for the classification of x by best arm, and a softmax ridge regression on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from laserve.types import Update, Vector

#: Examples between two fits, and the largest number kept; the oldest are dropped first.
REFIT_EVERY, KEPT = 50, 2000


@dataclass(frozen=True, kw_only=True)
class Example:
    """A decision with a known reward of every arm."""

    #: Context, shape (d,).
    x: Vector
    #: Arms with the highest reward.
    best: tuple[str, ...]
    #: Share of the example that changes keep, in [0, 1].
    weight: float = 1.0

    @classmethod
    def of(
        cls, x: Vector, updates: Sequence[Update], arms: Sequence[str], weight: float = 1.0
    ) -> "Example | None":
        """The example of one decision; None unless every arm has a reward and the rewards differ.

        The rewards are unscaled: the best arm does not depend on the scale, and scaled rewards beyond a
        quantile are equal.

        Args:
            arms: the arms that could be drawn, at least two; with fewer, None.
        """
        rewards = {update.arm: update.earned for update in updates}
        if len(arms) < 2 or not rewards.keys() >= set(arms):
            return None
        eligible = {arm: rewards[arm] for arm in arms}
        highest = max(eligible.values())
        best = tuple(sorted(arm for arm, reward in eligible.items() if reward == highest))
        return None if len(best) == len(eligible) else cls(x=x, best=best, weight=weight)


@dataclass(kw_only=True)
class Examples:
    """The latest examples by decision, in the order of the log."""

    by_decision: dict[str, Example] = field(default_factory=dict)
    #: Number of examples ever added; a replacement does not count.
    count: int = 0
    #: Grows whenever the list `fitted` changes.
    version: int = field(default=0, compare=False)

    def copy(self) -> "Examples":
        return replace(self, by_decision=dict(self.by_decision))

    def learn(self, decision_id: str, example: Example | None) -> None:
        """Add or replace a decision's example; None removes it."""
        if decision_id in self.by_decision:
            self.version += 1
        elif example is not None:
            self.count += 1
            self.version += self.count % REFIT_EVERY == 0
        if example is None:
            self.by_decision.pop(decision_id, None)
            return
        self.by_decision[decision_id] = example
        while len(self.by_decision) > KEPT:
            del self.by_decision[next(iter(self.by_decision))]

    def decay(self, kept: float) -> None:
        """Multiply all weights by a share: after a change of any arm, the old best arms say less."""
        self.version += bool(self.by_decision)
        for decision_id, example in self.by_decision.items():
            self.by_decision[decision_id] = replace(example, weight=example.weight * kept)

    @classmethod
    def from_json(cls, body: Mapping[str, Any], x: npt.NDArray[np.float64]) -> "Examples":
        """Restore the examples from the results of `to_json` and `contexts`."""
        weights = body.get("weights") or [1.0] * len(x)
        examples = (
            Example(x=row, best=tuple(best), weight=weight)
            for row, (_, best), weight in zip(x, body["best"], weights, strict=True)
        )
        names = (decision_id for decision_id, _ in body["best"])
        return cls(by_decision=dict(zip(names, examples, strict=True)), count=body["count"])

    def to_json(self) -> dict[str, Any]:
        """All but the contexts, as JSON values; states without changes keep their digests."""
        best = [[decision_id, list(each.best)] for decision_id, each in self.by_decision.items()]
        weights = [each.weight for each in self.by_decision.values()]
        decayed = {"weights": weights} if any(weight != 1.0 for weight in weights) else {}
        return {"count": self.count, "best": best} | decayed

    def contexts(self) -> npt.NDArray[np.float64]:
        """Contexts of the examples, shape (n, d)."""
        return np.array([each.x for each in self.by_decision.values()])

    @property
    def fitted(self) -> list[Example]:
        """The examples of the fit in force: those up to the last multiple of `REFIT_EVERY`.

        The list depends on the examples alone, so that a restart reaches an equal fit.
        """
        examples = list(self.by_decision.values())
        return examples[: max(len(examples) - self.count % REFIT_EVERY, 0)]


def fit(examples: Sequence[Example], ridge: Vector) -> dict[str, Vector]:
    """Multinomial logistic regression of the best arm on x, by maximum penalised likelihood.

    Minimises -sum_i c_i sum_k y_ik log softmax(W x_i)_k + 1/2 sum_k w_k' diag(ridge) w_k, where y_i splits
    1 among the best arms (Bishop 2006, section 4.3.4, with a Gaussian prior) and c_i is the example's
    weight.

    Args:
        ridge: ridge of each feature, shape (d,), above 0.

    Returns:
        Arm -> weights, shape (d,); empty without examples.
    """
    from scipy.optimize import minimize

    examples = [example for example in examples if example.weight > 0]
    arms = sorted({arm for example in examples for arm in example.best})
    if not arms:
        return {}
    x = np.array([example.x for example in examples])
    shares = np.array([[(arm in e.best) / len(e.best) for arm in arms] for e in examples])
    example_weights = np.array([[example.weight] for example in examples])

    def loss(flat: Vector) -> tuple[float, Vector]:
        weights = flat.reshape(len(arms), -1)
        logits = x @ weights.T
        logs = logits - _log_sum(logits)
        gradient = (example_weights * (np.exp(logs) - shares)).T @ x + ridge * weights
        penalty = float((ridge * weights * weights).sum()) / 2
        return float(-(example_weights * shares * logs).sum()) + penalty, gradient.ravel()

    result = minimize(loss, np.zeros(len(arms) * x.shape[1]), jac=True, method="L-BFGS-B")
    return dict(zip(arms, result.x.reshape(len(arms), -1), strict=True))


def preferences(weights: Mapping[str, Vector], x: Vector, arms: Sequence[str]) -> Vector:
    """Chance that each arm is the best one, shape (K,), sum 1; an arm that was never best has logit 0."""
    logits = np.array([x @ weights[arm] if arm in weights else 0.0 for arm in arms])
    return np.asarray(np.exp(logits - _log_sum(logits[None])[0]), dtype=np.float64)


def _log_sum(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """log sum exp over the last axis, shape (..., 1)."""
    top = logits.max(axis=-1, keepdims=True)
    return np.asarray(top + np.log(np.exp(logits - top).sum(axis=-1, keepdims=True)))
