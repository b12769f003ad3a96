"""Linear models of the arms: cached inverses of the ridge matrices, updated with the canonical state."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from laserve.bandit.state.examples import fit, preferences
from laserve.bandit.state.fold import BanditState
from laserve.types import Event, Update, Vector

#: Rank-one steps after which an inverse is computed from scratch, to bound rounding errors.
REFRESH = 1000
#: Least count of an arm that has data; corrections leave smaller counts, by rounding.
_MIN_COUNT = 1e-9


class LinearModel:
    """theta_k = A_k^-1 (Lambda mu_k + b_k) with A_k = Lambda + S_k, for every arm k.

    Lambda is the diagonal ridge and mu_k the prior mean: the posterior mean of Bayesian linear regression
    with unit noise, and the disjoint linear model of LinUCB (Li et al., 2010, algorithm 1). It is the `View`
    of the service's policies.

    One array holds all arms, and the numbers of an arm do not depend on the other rows: arms with equal
    lessons give equal bytes, so ties are exact and the order of the arms does not matter.

    Bound on the influence of one source: rewards lie in [0, 1], weights are 1, and a decision counts once. So
    if the rewards of m decisions of arm k were replaced, the prediction at z would move by at most
    sum_i |z' A_k^-1 x_i|, which is at most sqrt(m) width_k(z), and theta by at most sqrt(m / least ridge);
    one decision moves the prediction at its own x by less than 1, by h / (1 + h) with h = x' A_k^-1 x before
    the decision. If the m decisions were missing, these bounds hold times the largest surprise
    |r_i - x_i . theta_k|. Other arms do not move. A discount lowers the influence of a decision with every
    further decision.
    """

    def __init__(self, state: BanditState) -> None:
        self.state = state
        self._arms: tuple[str, ...] = ()
        self._rows: dict[str, int] = {}
        #: Shapes (K, d, d) and (K, d).
        self._inverse: npt.NDArray[np.float64] = np.zeros((0, 0, 0))
        self._theta: npt.NDArray[np.float64] = np.zeros((0, 0))
        self._steps: list[int] = []
        self._turns: Counter[str] = Counter()
        #: Version of the examples, and the classifier's weights that they give.
        self._fit: tuple[int, dict[str, Vector]] = (-1, {})
        #: Key and result of the last prediction: a decision needs it twice, to choose and to explain.
        self._predicted_for: tuple[bytes, tuple[str, ...]] = (b"", ())
        self._predicted: tuple[Vector, Vector] = (np.zeros(0), np.zeros(0))
        self._rebuild(state.arms)

    @property
    def decisions(self) -> int:
        return self.state.decisions

    @property
    def evidence(self) -> float:
        """1 + gamma + gamma^2 ... over the learned decisions, less the shares lost by changes of all arms."""
        gamma, total, learned = self.state.discount, 0.0, 0
        for change in self.state.changes.made:
            if change.arm is None:
                total = change.kept * _aged(total, gamma, change.decisions - learned)
                learned = change.decisions
        return _aged(total, gamma, self.state.decisions - learned)

    def apply(self, *events: Event) -> None:
        """Fold the events into the state, then bring the inverses up to it.

        A changed arm takes O(d^2) for each event. With a discount every arm changes with every decision, and
        each is inverted once for all of these events, O(d^3). So is each arm that a change decays.
        """
        stale: set[str] = set()
        self._predicted_for = (b"", ())
        try:
            for event in events:
                self.state.apply(event)
                self._follow(event, stale)
        finally:
            self._rebuild([name for name in self.state.arms if name in stale])

    def adopt(self, state: BanditState, events: Iterable[Event]) -> None:
        """Replace the state by one that these events have already been folded into.

        Args:
            state: a fork of the present state, after the last of `events`.
        """
        stale: set[str] = set()
        self._predicted_for = (b"", ())
        self.state = state
        for event in events:
            self._follow(event, stale)
        self._rebuild([name for name in state.arms if name in stale])

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
        return np.where(counts < _MIN_COUNT, 0.0, np.clip(sums / np.maximum(counts, _MIN_COUNT), 0.0, 1.0))

    def losses(self, arms: Sequence[str]) -> Vector:
        return np.array([self.state.arms[arm].loss for arm in arms])

    def preferences(self, x: Vector, arms: Sequence[str]) -> Vector:
        """Preferences by the latest fit, computed on demand, since only the policy `classifier` needs it."""
        examples = self.state.examples
        if self._fit[0] != examples.version:
            self._fit = (examples.version, fit(examples.fitted, self.state.prior_diagonal))
        return preferences(self._fit[1], x, arms)

    def turn(self, policy: str) -> int:
        return self._turns[policy]

    def took_turn(self, policy: str) -> None:
        """Count an arm that the policy of this name has drawn."""
        self._turns[policy] += 1

    def _predict(self, x: Vector, arms: Sequence[str]) -> tuple[Vector, Vector]:
        """Means and widths, each of shape (len(arms),)."""
        key = (x.tobytes(), tuple(arms))
        if key != self._predicted_for:
            theta, inverse = self._theta, self._inverse
            if key[1] != self._arms:  # all arms in stored order, the common case, need no copy
                rows = [self._rows[arm] for arm in arms]
                theta, inverse = theta[rows], inverse[rows]
            squares = np.vecdot(np.matmul(inverse, x), x)
            self._predicted = np.vecdot(theta, x), np.sqrt(np.maximum(squares, 0.0))
            self._predicted_for = key
        return self._predicted

    def _follow(self, event: Event, stale: set[str]) -> None:
        """Update the inverses by an event, or add to `stale` the arms to be inverted from scratch."""
        if event.kind == "arm":
            stale.add(event.body["name"])
        elif event.kind == "change":
            if event.body["kept"] < 1.0:
                stale.update(self.state.arms if event.body["what"] != "arm" else [event.body["arm"]])
        elif event.updates and event.x is not None:
            net = _net(event.replaces, event.updates)
            if self.state.discount < 1.0:
                stale.update(net if event.replaces else self.state.arms)
            elif event.replaces and self.state.changes.made:
                stale.update(net)  # the step would need the decision's remaining weight
            for name, (weight, reward) in net.items():
                if name not in stale and not self._step(name, event.x, weight, reward):
                    stale.add(name)

    def _step(self, name: str, x: Vector, weight: float, reward: float) -> bool:
        """Add w x x' to A and v x to b by a rank-one step of the inverse; False where that is not possible.

        Sherman-Morrison: (A + w x x')^-1 = A^-1 - w A^-1 x x' A^-1 / h with h = 1 + w x' A^-1 x, so that
        theta grows by A^-1 x (v - w x . theta) / h.
        """
        row = self._rows[name]
        self._steps[row] += 1
        if weight < 0 or self._steps[row] >= REFRESH:
            return False
        inverse, theta = self._inverse[row], self._theta[row]
        ax = inverse @ x
        h = 1.0 + weight * float(x @ ax)
        theta += ax * ((reward - weight * float(x @ theta)) / h)
        if weight > 0:
            ax *= math.sqrt(weight / h)
            inverse -= np.dot(ax[:, None], ax[None, :])
        return True

    def _rebuild(self, names: Iterable[str]) -> None:
        for name in names:
            arm = self.state.arms[name]
            if name not in self._rows:
                self._add(name, len(arm.b))
            row = self._rows[name]
            diagonal = self.state.prior_diagonal
            inverse = np.linalg.inv(np.diag(diagonal) + arm.S)
            self._inverse[row], self._theta[row] = inverse, inverse @ (diagonal * arm.prior_mean + arm.b)
            self._steps[row] = 0

    def _add(self, name: str, d: int) -> None:
        """Add rows for one more arm, of d features."""
        k = len(self._rows)
        self._inverse = np.concatenate([self._inverse.reshape(k, d, d), np.zeros((1, d, d))])
        self._theta = np.concatenate([self._theta.reshape(k, d), np.zeros((1, d))])
        self._steps.append(0)
        self._rows[name] = k
        self._arms += (name,)


def _aged(total: float, gamma: float, n: int) -> float:
    """gamma^n total + 1 + gamma + ... + gamma^(n - 1)."""
    if gamma == 1.0:
        return total + n
    log = n * math.log(gamma)
    return total * math.exp(log) - math.expm1(log) / (1.0 - gamma)


def _net(replaces: Iterable[Update], updates: Iterable[Update]) -> dict[str, tuple[float, float]]:
    """Arm -> net change of the weight and of the weighted reward."""
    net: dict[str, tuple[float, float]] = {}
    for sign, group in ((-1, replaces), (1, updates)):
        for update in group:
            weight, reward = net.get(update.arm, (0.0, 0.0))
            change = sign * update.weight
            net[update.arm] = weight + change, reward + change * update.reward
    return net
