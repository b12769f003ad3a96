"""Inverses of the arms' ridge matrices, kept in step with the canonical state. A cache: never the truth."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from laserve.bandit.classifier import fit, preferences
from laserve.bandit.state import BanditState
from laserve.types import Event, Update, Vector

#: Rank-one steps after which an inverse is made anew, so that rounding errors cannot pile up.
REFRESH = 1000
#: Rewards below this are none at all: what a correction leaves by rounding.
_NOTHING = 1e-9


class LinearModel:
    """theta_k = A_k^-1 (Lambda mu_k + b_k) with A_k = Lambda + S_k, for every arm k.

    Lambda is the diagonal ridge and mu_k the prior mean: the posterior mean of Bayesian linear regression
    with unit noise, and the disjoint linear model of LinUCB (Li et al., 2010, algorithm 1). It is the view
    that the service gives its policies.

    All arms lie in one array, and each is computed by itself whatever stands beside it: arms that have
    learned the same give the same bytes, so ties are exact and no arm's place matters.

    How far one source can move it: rewards lie in [0, 1], weights are 1, and a decision counts once. So if m
    decisions of arm k had other rewards, the prediction at z would be another by at most
    sum_i |z' A_k^-1 x_i|, which is at most sqrt(m) width_k(z), and theta by at most sqrt(m / least ridge);
    one decision moves the prediction at its own x by less than 1, by h / (1 + h) with h = x' A_k^-1 x before
    it. If they had not been at all, the same holds with the largest surprise |r_i - x_i . theta_k| in place
    of 1. Other arms are not moved. With a discount each of them counts less with every further decision.
    """

    def __init__(self, state: BanditState) -> None:
        self.state = state
        self._rows: dict[str, int] = {}
        #: Shapes (K, d, d), (K, d) and (K, d); rows of one arm.
        self._inverse: npt.NDArray[np.float64] = np.zeros((0, 0, 0))
        self._theta: npt.NDArray[np.float64] = np.zeros((0, 0))
        self._prior: npt.NDArray[np.float64] = np.zeros((0, 0))
        self._steps: list[int] = []
        self._turns: Counter[str] = Counter()
        #: Version of the examples, and the classifier's weights that they give.
        self._fit: tuple[int, dict[str, Vector]] = (-1, {})
        #: What was asked last and the answer: a decision asks twice, to choose and to explain.
        self._asked: tuple[bytes, tuple[str, ...]] = (b"", ())
        self._predicted: tuple[Vector, Vector] = (np.zeros(0), np.zeros(0))
        self._rebuild(state.arms)

    @property
    def decisions(self) -> int:
        return self.state.decisions

    @property
    def evidence(self) -> float:
        """1 + gamma + gamma^2 ... for the decisions that were learned."""
        gamma, n = self.state.discount, self.state.decisions
        return float(n) if gamma == 1.0 else -math.expm1(n * math.log(gamma)) / (1.0 - gamma)

    def apply(self, *events: Event) -> None:
        """Fold the events into the state, then bring the inverses up to it.

        A changed arm takes O(d^2) for each event. With a discount every arm changes with every decision, and
        each is inverted once for all of these events, O(d^3).
        """
        stale: set[str] = set()
        self._asked = (b"", ())
        try:
            for event in events:
                self.state.apply(event)
                self._follow(event, stale)
        finally:
            self._rebuild([name for name in self.state.arms if name in stale])

    def theta(self, arm: str) -> Vector:
        """Posterior mean of one arm, shape (d,)."""
        theta: Vector = self._theta[self._rows[arm]]
        return theta

    def means(self, x: Vector, arms: Sequence[str]) -> Vector:
        return self._predict(x, arms)[0]

    def widths(self, x: Vector, arms: Sequence[str]) -> Vector:
        return self._predict(x, arms)[1]

    def counts(self, arms: Sequence[str]) -> Vector:
        """The first feature is the constant 1, so S holds the sum of the weights there."""
        return np.array([max(float(self.state.arms[arm].S[0, 0]), 0.0) for arm in arms])

    def averages(self, arms: Sequence[str]) -> Vector:
        """The first feature is the constant 1, so b holds the sum of the rewards there."""
        sums = np.array([float(self.state.arms[arm].b[0]) for arm in arms])
        counts = self.counts(arms)
        return np.where(counts < _NOTHING, 0.0, np.clip(sums / np.maximum(counts, _NOTHING), 0.0, 1.0))

    def losses(self, arms: Sequence[str]) -> Vector:
        return np.array([self.state.arms[arm].loss for arm in arms])

    def preferences(self, x: Vector, arms: Sequence[str]) -> Vector:
        """The fit is made when it is first asked for: only the policy `classifier` pays for it."""
        examples = self.state.examples
        if self._fit[0] != examples.version:
            self._fit = (examples.version, fit(examples.fitted, self.state.prior_diagonal))
        return preferences(self._fit[1], x, arms)

    def turn(self, policy: str) -> int:
        return self._turns[policy]

    def took_turn(self, policy: str) -> None:
        """Count an arm that the policy of that name has drawn."""
        self._turns[policy] += 1

    def _predict(self, x: Vector, arms: Sequence[str]) -> tuple[Vector, Vector]:
        """Means and widths, each of shape (len(arms),)."""
        asked = (x.tobytes(), tuple(arms))
        if asked != self._asked:
            rows: slice | list[int] = [self._rows[arm] for arm in arms]
            if rows == list(range(len(self._rows))):
                rows = slice(None)  # all of them as they lie, the common case, without a copy
            squares = np.vecdot(np.matmul(self._inverse[rows], x), x)
            self._predicted = np.vecdot(self._theta[rows], x), np.sqrt(np.maximum(squares, 0.0))
            self._asked = asked
        return self._predicted

    def _follow(self, event: Event, stale: set[str]) -> None:
        """Step along with an event, or add to `stale` the arms of which the inverse must be made anew."""
        if event.kind == "arm":
            stale.add(event.body["name"])
        elif event.updates and event.x is not None:
            net = _net_weights(event.replaces, event.updates)
            if self.state.discount < 1.0:
                stale.update(net if event.replaces else self.state.arms)
            for name, change in net.items():
                if name not in stale and not self._stepped(name, event.x, change):
                    stale.add(name)

    def _stepped(self, name: str, x: Vector, weight: float) -> bool:
        """Sherman-Morrison: (A + w x x')^-1 = A^-1 - w A^-1 x x' A^-1 / (1 + w x' A^-1 x)."""
        row = self._rows[name]
        self._steps[row] += 1
        if weight < 0 or self._steps[row] >= REFRESH:
            return False
        if weight > 0:
            inverse = self._inverse[row]
            ax = inverse @ x
            ax *= math.sqrt(weight / (1.0 + weight * float(x @ ax)))
            inverse -= np.dot(ax[:, None], ax[None, :])
        self._solve(name)
        return True

    def _rebuild(self, names: Iterable[str]) -> None:
        for name in names:
            arm = self.state.arms[name]
            if name not in self._rows:
                self._add(name, len(arm.b))
            row = self._rows[name]
            self._prior[row] = self.state.prior_diagonal * arm.prior_mean
            self._inverse[row] = np.linalg.inv(np.diag(self.state.prior_diagonal) + arm.S)
            self._steps[row] = 0
            self._solve(name)

    def _add(self, name: str, d: int) -> None:
        """Room for one more arm of d features."""
        k = len(self._rows)
        self._inverse = np.concatenate([self._inverse.reshape(k, d, d), np.zeros((1, d, d))])
        self._theta = np.concatenate([self._theta.reshape(k, d), np.zeros((1, d))])
        self._prior = np.concatenate([self._prior.reshape(k, d), np.zeros((1, d))])
        self._steps.append(0)
        self._rows[name] = k

    def _solve(self, name: str) -> None:
        row = self._rows[name]
        np.matmul(self._inverse[row], self._prior[row] + self.state.arms[name].b, out=self._theta[row])


def _net_weights(replaces: Iterable[Update], updates: Iterable[Update]) -> dict[str, float]:
    net: dict[str, float] = {}
    for sign, group in ((-1, replaces), (1, updates)):
        for update in group:
            net[update.arm] = net.get(update.arm, 0.0) + sign * update.weight
    return net
