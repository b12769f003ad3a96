"""What a frozen policy would have earned on requests that another policy answered.

A target is the (N, K) matrix of chances with which a frozen policy would draw each arm in each logged
decision. It must not have learned from the rows that it is judged on: a state at log position p is judged on
later rows only, else its own luck counts in its favour.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from laserve.bandit.offpolicy.intervals import CannotSay, ClusterBootstrap, Estimate, conclude
from laserve.bandit.offpolicy.log import Mask, Matrix, OffPolicyLog
from laserve.bandit.offpolicy.progressive import predictions
from laserve.errors import InvalidRequest
from laserve.types import Vector

__all__ = [
    "DR",
    "ESTIMATORS",
    "IPS",
    "SNIPS",
    "CannotSay",
    "ClusterBootstrap",
    "Estimate",
    "Estimator",
    "OffPolicyLog",
    "Terms",
    "answer_rates",
    "evaluate",
    "value_when_answered",
]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """An estimate as sum(numerator) / sum(denominator) over the rows."""

    #: Shape (N,).
    numerator: Vector
    #: Shape (N,).
    denominator: Vector


class Estimator(Protocol):
    """A way to estimate the mean reward of a target."""

    @property
    def name(self) -> str:
        """Name by which requests and reports call it."""

    def terms(self, log: OffPolicyLog, target: Matrix) -> Terms:
        """What each row contributes.

        Args:
            log: decisions in log order.
            target: chances of a frozen policy, shape (N, K).

        Raises:
            InvalidRequest: `target` is no distribution, or wants an arm that the log could not draw.
        """


@dataclass(frozen=True, kw_only=True)
class IPS:
    """sum w r / N, inverse propensity scoring (Horvitz and Thompson 1952), w as `OffPolicyLog.ratios` has it.

    Unbiased, also where the logging policy learned. Varies most of the three: adding a constant to all
    rewards changes its error, and it may leave [0, 1].
    """

    @property
    def name(self) -> str:
        return "ips"

    def terms(self, log: OffPolicyLog, target: Matrix) -> Terms:
        weights = log.at_drawn(log.ratios(target))
        return Terms(numerator=weights * log.reward, denominator=np.ones(len(log)))


@dataclass(frozen=True, kw_only=True)
class SNIPS:
    """sum w r / sum w, self-normalised (Swaminathan and Joachims 2015).

    Stays in [0, 1] and mostly varies far less than IPS. Its bias is of order 1 / N, without sign known
    beforehand.
    """

    @property
    def name(self) -> str:
        return "snips"

    def terms(self, log: OffPolicyLog, target: Matrix) -> Terms:
        weights = log.at_drawn(log.ratios(target))
        return Terms(numerator=weights * log.reward, denominator=weights)


@dataclass(frozen=True, kw_only=True)
class DR:
    """Doubly robust (Dudik, Langford and Li 2011, arXiv 1103.4601): a reward model, and IPS of its errors.

    The term of a row is sum_a pi_a q(x, a) + w (r - q_w). Arm by arm q_w is q(x, drawn); text by text it is
    the model's mean over the arms of the returned text, sum pi_a q(x, a) / sum pi_a. Then E[w q_w] =
    sum_a pi_a q(x, a) for either w, the model cancels, and the estimate is unbiased whatever the model says.

    That needs a model that knows neither the row's draw nor what came of it. q is therefore fitted on earlier
    rows only: in a log that a learner wrote, later rows depend on this one too, so that random folds would
    not do. The arms of a returned text learn in the proportion in which each was likely to be the drawn one.

    As good as its model: with a poor one it varies as IPS does, in early rows above all.
    """

    #: Of the reward model: above 0.
    ridge: float = 1.0

    @property
    def name(self) -> str:
        return "dr"

    def terms(self, log: OffPolicyLog, target: Matrix) -> Terms:
        weights = log.at_drawn(log.ratios(target))
        q = predictions(log.x, log.reward, log.shares(), ridge=self.ridge)
        earned, chance = log.summed(target * q), log.summed(target)
        group = log.at_drawn(np.divide(earned, chance, out=np.zeros_like(q), where=chance > 0))
        direct = (target * q).sum(axis=1)
        return Terms(numerator=direct + weights * (log.reward - group), denominator=np.ones(len(log)))


#: Name -> estimator.
ESTIMATORS: Mapping[str, Estimator] = MappingProxyType({made.name: made for made in (IPS(), SNIPS(), DR())})


def evaluate(
    log: OffPolicyLog,
    target: Matrix,
    estimator: Estimator,
    *,
    bootstrap: ClusterBootstrap | None = None,
) -> Estimate | CannotSay:
    """Mean reward of a frozen policy on the logged requests, with a 95% interval.

    Every row needs its reward; where feedback may be missing, use `value_when_answered`.

    Args:
        log: decisions in log order.
        target: chances of a frozen policy that has not learned from these rows, shape (N, K).
        estimator: one of `ESTIMATORS`.
        bootstrap: of the log's clusters, to share between calls; a new one by default.

    Raises:
        InvalidRequest: `target` is no distribution, or wants an arm that the log could not draw.
    """
    every = np.ones(len(log), dtype=bool)
    return _concluded(log, target, estimator.terms(log, target), told=every, bootstrap=bootstrap)


def answer_rates(log: OffPolicyLog, answered: Mask) -> dict[str, Estimate | CannotSay]:
    """Share of decisions that feedback came for, had each arm been drawn wherever it could be.

    SNIPS of the target that always draws the arm, with `answered` for the reward, so that the arms are
    compared on the same requests, not each on those that it was drawn for. Rates that differ say that
    feedback depends on the arm; then a comparison of rewards among answered decisions is one of unlike
    requests.

    Args:
        log: all decisions, answered or not; rewards are not looked at.
        answered: whether feedback came, shape (N,).

    Returns:
        Arm -> rate in [0, 1]. An arm that could never be drawn is left out.

    Raises:
        InvalidRequest: `answered` has another shape or is no mask.
    """
    _check_mask(log, answered)
    rates: dict[str, Estimate | CannotSay] = {}
    for index, arm in enumerate(log.arms):
        able = log.logged[:, index] > 0
        if able.any():
            rows = log.rows(able)
            always = np.zeros_like(rows.logged)
            always[:, index] = 1.0
            weights = rows.at_drawn(rows.ratios(always))
            terms = Terms(numerator=weights * answered[able], denominator=weights)
            rates[arm] = _concluded(rows, always, terms, told=np.ones(len(rows), dtype=bool))
    return rates


def value_when_answered(
    log: OffPolicyLog, target: Matrix, answered: Mask, *, bootstrap: ClusterBootstrap | None = None
) -> Estimate | CannotSay:
    """Mean reward of a frozen policy among its answered decisions: E[w r answered] / E[w answered].

    Not its mean reward over all decisions, unless whether someone answers does not depend on the reward.
    Raters who answer mostly when pleased raise it for every arm, and an arm whose failures go unanswered
    looks better than it is: read it beside `answer_rates`. Its bias is of order 1 / N, as that of SNIPS.

    Args:
        log: all decisions, answered or not; rewards of those not answered are not looked at.
        target: chances of a frozen policy that has not learned from these rows, shape (N, K).
        answered: whether feedback came, shape (N,).
        bootstrap: of the log's clusters, to share between calls; a new one by default.

    Raises:
        InvalidRequest: `target` is no distribution or wants an arm that the log could not draw, or
            `answered` has another shape or is no mask.
    """
    _check_mask(log, answered)
    terms = SNIPS().terms(log, target)
    among = Terms(numerator=terms.numerator * answered, denominator=terms.denominator * answered)
    return _concluded(log, target, among, told=answered, bootstrap=bootstrap)


def _check_mask(log: OffPolicyLog, answered: Mask) -> None:
    if answered.shape != (len(log),) or answered.dtype != np.bool_:
        raise InvalidRequest(f"answered: is no mask of {len(log)} decisions", param="answered")


def _concluded(
    log: OffPolicyLog,
    target: Matrix,
    terms: Terms,
    *,
    told: Mask,
    bootstrap: ClusterBootstrap | None = None,
) -> Estimate | CannotSay:
    """The estimate that the terms make, if the weights of the rows in `told` allow one."""
    ratios = log.ratios(target)
    square = float((target * ratios).sum(axis=1).mean())  # E[w^2] over the draws, known without drawing
    return conclude(
        numerator=terms.numerator,
        denominator=terms.denominator,
        weights=log.at_drawn(ratios) * told,
        expected=float(told.sum()) / square,
        bootstrap=bootstrap or ClusterBootstrap(log.clusters),
    )
