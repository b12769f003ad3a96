"""The mean and the standard deviation of recent values, updated in constant time."""

import math

#: Candidates that the moments of an arm's scores cover, about.
MEMORY = 1000
#: Weight from which the moments are steady enough to be compared with those of another time: the mean has a
#: standard error of a fourteenth of the standard deviation where scores are independent.
STEADY = 200
#: Bound of a value: the square of a larger one, and with it every later result, would be infinite.
_LARGEST = 1e100


class Moments:
    """Exponentially weighted mean and variance: the value of k values ago weighs w^k, w = 1 - 1 / memory.

    With d = x - mean, each value x updates the sum of weights W, the mean, and the weighted sum of squared
    deviations S::

        W <- w W + 1        mean <- mean + d / W        S <- w S + d (x - mean)

    where the last factor uses the new mean; the variance is S / W. For w = 1 this is West's update (D. H. D.
    West, "Updating mean and variance estimates: an improved method", CACM 22(9), 1979). The decay of earlier
    weights is that of T. Finch, "Incremental calculation of weighted mean and variance", 2009, section 9, but
    W is kept, so that the first values weigh no more than later ones.

    Args:
        memory: sum of all weights in the long run, above 1.
    """

    def __init__(self, memory: float = MEMORY) -> None:
        self._keep = 1.0 - 1.0 / memory
        #: Sum of the weights; 0 before the first value.
        self.weight = 0.0
        #: Weighted mean; 0 before the first value.
        self.mean = 0.0
        self._squares = 0.0

    def add(self, value: float) -> None:
        """Add a finite value; beyond 1e100 in size it counts as 1e100 with its sign."""
        value = max(-_LARGEST, min(_LARGEST, value))
        before = value - self.mean
        self.weight = self._keep * self.weight + 1.0
        self.mean += before / self.weight
        self._squares = self._keep * self._squares + before * (value - self.mean)

    @property
    def sd(self) -> float:
        """Weighted standard deviation, at least 0; 0 before the second value."""
        return math.sqrt(max(self._squares, 0.0) / self.weight) if self.weight else 0.0
