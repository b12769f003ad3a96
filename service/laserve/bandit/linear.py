"""Inverses of the arms' ridge matrices, kept in step with the canonical state. A cache: never the truth."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from laserve.bandit.state import ArmState, BanditState
from laserve.types import Event, Update, Vector

#: Rank-one steps after which an inverse is made anew, so that rounding errors cannot pile up.
REFRESH = 1000


class LinearModel:
    """theta_k = A_k^-1 (Lambda mu_k + b_k) with A_k = Lambda + S_k, for every arm k.

    Lambda is the diagonal ridge and mu_k the prior mean: the posterior mean of Bayesian linear regression
    with unit noise, and the disjoint linear model of LinUCB (Li et al., 2010, algorithm 1).
    """

    def __init__(self, state: BanditState) -> None:
        self.state = state
        self._inverse: dict[str, npt.NDArray[np.float64]] = {}
        self._theta: dict[str, Vector] = {}
        self._steps: dict[str, int] = {}
        for name in state.arms:
            self._rebuild(name)

    @property
    def decisions(self) -> int:
        return self.state.decisions

    def apply(self, event: Event) -> None:
        """Fold the event into the state, then bring the inverses up to it, O(d^2) a changed arm."""
        self.state.apply(event)
        if event.kind == "arm":
            self._rebuild(event.body["name"])
        elif event.updates and event.x is not None:
            for name, change in _net_weights(event.replaces, event.updates).items():
                self._step(name, event.x, change)

    def theta(self, arm: str) -> Vector:
        """Posterior mean of one arm, shape (d,)."""
        return self._theta[arm]

    def means(self, x: Vector, arms: Sequence[str]) -> Vector:
        return np.array([x @ self._theta[arm] for arm in arms])

    def widths(self, x: Vector, arms: Sequence[str]) -> Vector:
        return np.sqrt([max(float(x @ self._inverse[arm] @ x), 0.0) for arm in arms])

    def _step(self, name: str, x: Vector, weight: float) -> None:
        """Sherman-Morrison: (A + w x x')^-1 = A^-1 - w A^-1 x x' A^-1 / (1 + w x' A^-1 x)."""
        self._steps[name] += 1
        if weight < 0 or self._steps[name] >= REFRESH:
            self._rebuild(name)
            return
        if weight > 0:
            inverse = self._inverse[name]
            ax = inverse @ x
            inverse -= np.multiply.outer(ax, ax) * (weight / (1.0 + weight * float(x @ ax)))
        self._solve(name)

    def _rebuild(self, name: str) -> None:
        arm: ArmState = self.state.arms[name]
        ridge: npt.NDArray[np.float64] = np.diag(self.state.prior_diagonal) + arm.S
        self._inverse[name] = np.linalg.inv(ridge).astype(np.float64)
        self._steps[name] = 0
        self._solve(name)

    def _solve(self, name: str) -> None:
        arm = self.state.arms[name]
        self._theta[name] = self._inverse[name] @ (self.state.prior_diagonal * arm.prior_mean + arm.b)


def _net_weights(replaces: Iterable[Update], updates: Iterable[Update]) -> dict[str, float]:
    net: dict[str, float] = {}
    for sign, group in ((-1, replaces), (1, updates)):
        for update in group:
            net[update.arm] = net.get(update.arm, 0.0) + sign * update.weight
    return net
