"""Logged decisions as arrays for off-policy evaluation, and the weights that a target gives them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from laserve.errors import InvalidRequest
from laserve.types import Vector

Matrix = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

T = TypeVar("T", bound=np.generic)
#: Array -> allowed kinds of numpy type, in the letters of `numpy.dtype.kind`.
_KINDS = {
    "x": "f",
    "drawn": "iu",
    "logged": "f",
    "reward": "f",
    "winners": "i",
    "returned": "iu",
    "shadowed": "b",
    "clusters": "biufSU",
}
#: Largest deviation of a row's sum of probabilities from one.
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class OffPolicyLog:
    """N decisions in log order, over K arms.

    Evaluation is by intention: the reward belongs to the drawn arm, also where another arm had to score
    instead. Text 3 of a row stands for candidate 3 and all candidates with equal words; the lowest index
    names a text.

    A row is read text by text where `shadowed` is true and the winner of every arm that could be drawn is
    known, else arm by arm. `shadowed` must not depend on the draw: it states that all arms were to score this
    request whichever arm was drawn. It is not enough that all winners happen to be known. With one costly arm
    among free ones that would hold whenever the costly arm was drawn, and the weights would no longer have
    mean one.

    Raises:
        InvalidRequest: an array has a wrong shape, or a value out of its range; `param` names the field.
    """

    #: Names of the K arms.
    arms: tuple[str, ...]
    #: Contexts, shape (N, d), finite.
    x: Matrix
    #: Index of the drawn arm, shape (N,), 0..K-1.
    drawn: Integers
    #: Chance of each arm to be drawn, shape (N, K), rows sum to 1; 0 for arms that were not eligible.
    logged: Matrix
    #: Reward of the returned answer, shape (N,), in [0, 1].
    reward: Vector
    #: Text that each arm's scores would have returned, shape (N, K); -1 where the scores are not known.
    winners: Integers
    #: Text that was returned, shape (N,), at least 0.
    returned: Integers
    #: Whether all arms were to score this request whichever was drawn, shape (N,).
    shadowed: Mask
    #: Label of each row's cluster, shape (N,): rows of one cluster, for example one article, are dependent.
    clusters: npt.NDArray[np.generic]

    def __post_init__(self) -> None:
        self._check_shapes()
        for name in ("x", "logged", "reward"):
            _refuse(~np.isfinite(getattr(self, name)), name, "is not finite")
        last = len(self.arms) - 1
        _refuse((self.reward < 0) | (self.reward > 1), "reward", "is not in [0, 1]")
        _refuse((self.drawn < 0) | (self.drawn > last), "drawn", f"is not in 0..{last}")
        _check_distribution(self.logged, "logged")
        _refuse(_at(self.logged, self.drawn) == 0, "drawn", "is an arm whose logged chance is 0")
        _refuse(self.winners < -1, "winners", "is below -1")
        _refuse(self.returned < 0, "returned", "is below 0")
        own = _at(self.winners, self.drawn)
        _refuse((own >= 0) & (own != self.returned), "returned", "is not the text that the drawn arm chose")

    def _check_shapes(self) -> None:
        n, k = len(self.drawn), len(self.arms)
        if not n or not k:
            raise InvalidRequest("drawn: there must be an arm and a decision", param="drawn")
        shapes = dict.fromkeys(_KINDS, (n,)) | {
            "logged": (n, k),
            "winners": (n, k),
            "x": (n, *self.x.shape[1:]),
        }
        for name, kinds in _KINDS.items():
            array = getattr(self, name)
            if array.shape != shapes[name] or (name == "x" and array.ndim != 2):
                expected = f"{n} rows of features" if name == "x" else shapes[name]
                raise InvalidRequest(f"{name}: has shape {array.shape} instead of {expected}", param=name)
            if array.dtype.kind not in kinds:
                raise InvalidRequest(f"{name}: cannot be of type {array.dtype}", param=name)

    def __len__(self) -> int:
        return len(self.drawn)

    @cached_property
    def together(self) -> Mask:
        """Whether a reward of arm a is also a reward of arm b, shape (N, K, K); an equivalence in each row.

        Where the row is read text by text, arms with equal winning texts belong together; elsewhere each arm
        belongs to itself alone.
        """
        by_text = self.shadowed & ((self.winners >= 0) | (self.logged == 0)).all(axis=1)
        same = (self.winners[:, :, None] == self.winners[:, None, :]) & (self.winners[:, :, None] >= 0)
        alone = np.eye(len(self.arms), dtype=bool)
        return np.asarray((same & by_text[:, None, None]) | alone)

    def ratios(self, target: Matrix) -> Matrix:
        """Weight of each arm if it is drawn, shape (N, K), at least 0; the mean under the log is 1.

        Arm by arm it is pi_a / mu_a. Text by text it is Pi_t / M_t with Pi_t and M_t the sums of pi and mu
        over the arms whose text is t = t(a): the reward belongs to the text, and M_t is the chance that it
        was returned.

        Both are unbiased. Let V be the target's value given x and the candidates, f_t the mean reward of
        text t, and f_a that of arm a's text. Arm by arm, E[pi_A / mu_A r] = sum_a mu_a (pi_a / mu_a) f_a =
        V. Text by text, E[Pi_T / M_T r] = sum_t M_t (Pi_t / M_t) f_t = sum_a pi_a f_a = V. Text by text
        varies less: its weight is the conditional mean of the arm-by-arm weight given the returned text.

        The mixture is unbiased too. Let S = 1 where the request is shadowed, with chance s given x,
        independent of the draw and the reward. E[S w_text r / s] = V and E[(1 - S) w_arm r / (1 - s)] = V, by
        the above. Weighting these two with s and 1 - s cancels both divisors: E[S w_text r + (1 - S) w_arm r]
        = s V + (1 - s) V = V. The sum contains no shadow probability, so none need be known.

        Args:
            target: chances of a frozen policy, shape (N, K).

        Raises:
            InvalidRequest: `target` is no distribution, or draws an arm that the log could not draw.
        """
        self._check_target(target)
        desired, chance = self.summed(target), self.summed(self.logged)
        return np.divide(desired, chance, out=np.zeros_like(desired), where=chance > 0)

    def summed(self, values: Matrix) -> Matrix:
        """Sum over the arms that belong together with each arm, shape (N, K), from values of shape (N, K)."""
        return np.asarray(np.einsum("nab,nb->na", self.together, values))

    def at_drawn(self, values: Matrix) -> Vector:
        """The drawn arm's value in each row, shape (N,), from values of shape (N, K)."""
        return _at(values, self.drawn)

    def shares(self) -> Matrix:
        """Chance of each arm, given the returned text, to be the drawn one, shape (N, K), rows sum to 1.

        Where a row is read arm by arm, the drawn arm's chance is 1.
        """
        chances = self.together[np.arange(len(self)), self.drawn] * self.logged
        return np.asarray(chances / chances.sum(axis=1, keepdims=True))

    def rows(self, chosen: Mask) -> "OffPolicyLog":
        """The rows in the mask, shape (N,), which has at least one."""
        parts = {name: getattr(self, name)[chosen] for name in _KINDS}
        return OffPolicyLog(arms=self.arms, **parts)

    def _check_target(self, target: Matrix) -> None:
        if target.shape != self.logged.shape:
            shapes = f"{target.shape} instead of {self.logged.shape}"
            raise InvalidRequest(f"target: has shape {shapes}", param="target")
        _refuse(~np.isfinite(target), "target", "is not finite")
        _check_distribution(target, "target")
        _refuse((target > 0) & (self.logged == 0), "target", "wants an arm that the log could not draw")


def _at(values: npt.NDArray[T], arms: Integers) -> npt.NDArray[T]:
    return np.asarray(values[np.arange(len(arms)), arms])


def _check_distribution(chances: Matrix, name: str) -> None:
    _refuse(chances < 0, name, "is below 0")
    _refuse(np.abs(chances.sum(axis=1) - 1) > _ROUNDING, name, "does not sum to 1")


def _refuse(wrong: Mask, name: str, why: str) -> None:
    """Raise InvalidRequest with the first wrong row; `wrong` has shape (N,) or (N, columns)."""
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    if len(rows):
        raise InvalidRequest(f"{name}: row {rows[0]} {why}", param=name)
