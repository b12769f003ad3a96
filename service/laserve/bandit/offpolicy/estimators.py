"""Estimators of the mean reward of a frozen policy on requests that another policy answered.

A target is the (N, K) matrix of chances with which a frozen policy would draw each arm in each logged
decision. The policy must not have learned from the rows of its evaluation: a state at log position p is
evaluated on later rows only, else its own luck counts in its favour.
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
    """An estimator of the mean reward of a target."""

    @property
    def name(self) -> str:
        """Name in requests and reports."""

    def terms(self, log: OffPolicyLog, target: Matrix) -> Terms:
        """Terms of each row.

        Args:
            log: decisions in log order.
            target: chances of a frozen policy, shape (N, K).

        Raises:
            InvalidRequest: `target` is no distribution, or draws an arm that the log could not draw.
        """


@dataclass(frozen=True, kw_only=True)
class IPS:
    """sum w r / N, inverse propensity scoring (Horvitz and Thompson 1952), w from `OffPolicyLog.ratios`.

    IPS is unbiased, also where the logging policy learned. It has the largest variance of the three: adding
    a constant to all rewards changes its error, and it may leave [0, 1].
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

    SNIPS stays in [0, 1] and mostly varies far less than IPS. Its bias is of order 1 / N, of a sign not known
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
    sum_a pi_a q(x, a) for either w, the model cancels, and the estimate is unbiased whatever the
    model predicts.

    The model must know neither the row's draw nor its reward. q is therefore fitted on earlier rows only: in
    a log that a learner wrote, later rows depend on this row too, so random folds would be biased. The arms
    of a returned text learn in proportion to the chance of each to be the drawn one.

    DR is as good as its model: with a poor model it varies as IPS does, above all in early rows.
    """

    #: Ridge of the reward model, above 0.
    ridge: float = 1.0

    @property
    def name(self) -> str:
        return "dr"

    def terms(self, log: OffPolicyLog, target: Matrix) -> Terms:
        weights = log.at_drawn(log.ratios(target))
        q = predictions(log.x, log.reward, log.shares(), ridge=self.ridge)
        earned, chance = log.summed(target * q), log.summed(target)
        text_mean = log.at_drawn(np.divide(earned, chance, out=np.zeros_like(q), where=chance > 0))
        direct = (target * q).sum(axis=1)
        return Terms(numerator=direct + weights * (log.reward - text_mean), denominator=np.ones(len(log)))


#: Name -> estimator.
ESTIMATORS: Mapping[str, Estimator] = MappingProxyType({one.name: one for one in (IPS(), SNIPS(), DR())})


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
        bootstrap: bootstrap over the log's clusters, to share between calls; a new one by default.

    Raises:
        InvalidRequest: `target` is no distribution, or draws an arm that the log could not draw.
    """
    every = np.ones(len(log), dtype=bool)
    return _conclude(log, target, estimator.terms(log, target), answered=every, bootstrap=bootstrap)


def answer_rates(log: OffPolicyLog, answered: Mask) -> dict[str, Estimate | CannotSay]:
    """Share of decisions with feedback, had each arm been drawn wherever it could be.

    The rate is SNIPS of the target that always draws the arm, with `answered` as the reward, so the arms are
    compared on equal requests, not each on the requests that it was drawn for. Different rates mean that
    feedback depends on the arm; then a comparison of rewards among answered decisions compares unlike
    requests.

    Args:
        log: all decisions, answered or not; rewards are ignored.
        answered: whether each decision has feedback, shape (N,).

    Returns:
        Arm -> rate in [0, 1], without the arms that could never be drawn.

    Raises:
        InvalidRequest: `answered` has another shape or is no mask.
    """
    _check_mask(log, answered)
    rates: dict[str, Estimate | CannotSay] = {}
    for index, arm in enumerate(log.arms):
        eligible = log.logged[:, index] > 0
        if eligible.any():
            rows = log.rows(eligible)
            always = np.zeros_like(rows.logged)
            always[:, index] = 1.0
            weights = rows.at_drawn(rows.ratios(always))
            terms = Terms(numerator=weights * answered[eligible], denominator=weights)
            rates[arm] = _conclude(rows, always, terms, answered=np.ones(len(rows), dtype=bool))
    return rates


def value_when_answered(
    log: OffPolicyLog, target: Matrix, answered: Mask, *, bootstrap: ClusterBootstrap | None = None
) -> Estimate | CannotSay:
    """Mean reward of a frozen policy among its answered decisions: E[w r answered] / E[w answered].

    This is not its mean reward over all decisions, unless feedback does not depend on the reward. Raters who
    answer mostly when pleased raise the value of every arm, and an arm whose failures go unanswered looks
    better than it is: read the value beside `answer_rates`. Its bias is of order 1 / N, as the bias of SNIPS.

    Args:
        log: all decisions, answered or not; rewards of unanswered decisions are ignored.
        target: chances of a frozen policy that has not learned from these rows, shape (N, K).
        answered: whether each decision has feedback, shape (N,).
        bootstrap: bootstrap over the log's clusters, to share between calls; a new one by default.

    Raises:
        InvalidRequest: `target` is no distribution or draws an arm that the log could not draw, or
            `answered` has another shape or is no mask.
    """
    _check_mask(log, answered)
    terms = SNIPS().terms(log, target)
    answered_terms = Terms(numerator=terms.numerator * answered, denominator=terms.denominator * answered)
    return _conclude(log, target, answered_terms, answered=answered, bootstrap=bootstrap)


def _check_mask(log: OffPolicyLog, answered: Mask) -> None:
    if answered.shape != (len(log),) or answered.dtype != np.bool_:
        raise InvalidRequest(f"answered: must be a mask of {len(log)} decisions", param="answered")


def _conclude(
    log: OffPolicyLog,
    target: Matrix,
    terms: Terms,
    *,
    answered: Mask,
    bootstrap: ClusterBootstrap | None = None,
) -> Estimate | CannotSay:
    """The estimate of the terms, if the weights of the answered rows allow one."""
    ratios = log.ratios(target)
    square = float((target * ratios).sum(axis=1).mean())  # E[w^2] over the draws, known without drawing
    return conclude(
        numerator=terms.numerator,
        denominator=terms.denominator,
        weights=log.at_drawn(ratios) * answered,
        expected=float(answered.sum()) / square,
        bootstrap=bootstrap or ClusterBootstrap(log.clusters),
    )
