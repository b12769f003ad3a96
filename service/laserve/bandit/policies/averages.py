"""Policies on the average reward of each arm, whatever the request."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.policies.base import View
from laserve.bandit.policies.exploration import Exploration, greedy
from laserve.types import Vector

#: Least count of an arm that has data; corrections leave smaller counts, by rounding.
MIN_COUNT = 1e-9


@dataclass(frozen=True, kw_only=True)
class EpsilonGreedy:
    """Plays the arm with the largest average reward, except for a share epsilon.

    Auer et al., 2002 (Machine Learning 47), figure 3, with a constant epsilon. Arms without data come first.
    """

    exploration: Exploration

    @property
    def name(self) -> str:
        return "epsilon-greedy"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        averages = np.where(view.counts(arms) < MIN_COUNT, np.inf, view.averages(arms))
        return self.exploration.mix(greedy(averages), view.decisions)


@dataclass(frozen=True, kw_only=True)
class UCB1:
    """Plays the arm with the largest average + sqrt(2 ln n / n_k), except for a share epsilon.

    Auer et al., 2002 (Machine Learning 47), figure 1; n is the sum of the counts n_k of the eligible arms.
    Arms without data come first. A discount decays the counts as it decays the averages; the policy is then
    the discounted UCB of Garivier & Moulines, 2011 (arXiv 0805.3415), with Auer's constant.
    """

    exploration: Exploration

    @property
    def name(self) -> str:
        return "ucb1"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        counts = view.counts(arms)
        bonus = np.sqrt(2 * np.log(max(counts.sum(), 1.0)) / np.maximum(counts, MIN_COUNT))
        bounds = np.where(counts < MIN_COUNT, np.inf, view.averages(arms) + bonus)
        return self.exploration.mix(greedy(bounds), view.decisions)
