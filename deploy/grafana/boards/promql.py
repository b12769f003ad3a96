"""PromQL expressions that the boards share.

Every quotient has a denominator above 0, and every quantile is compared with 0, so that a range without
events gives no point instead of NaN.
"""

#: Range of a rate: at least four scrapes, and at least the distance of two points, as Grafana computes it.
RATE = "$__rate_interval"
#: Range of an estimate that needs many events; the reader of a board chooses it.
WINDOW = "$window"

#: Selectors of the series of the chosen instances, and of those of the chosen policies and tasks or arms.
INSTANCE = 'instance=~"$instance"'
CHOICE = f'{INSTANCE},policy=~"$policy",task=~"$task"'
ARM = f'{INSTANCE},arm=~"$arm"'
#: Clients' requests, without the probes of a monitor.
CLIENTS = f'{INSTANCE},endpoint!~"/metrics|/healthz|/readyz"'

#: Two-sided 95% quantile of the normal distribution.
Z = 1.96


def rate(metric: str, by: str = "", where: str = INSTANCE, over: str = RATE) -> str:
    """Events a second, summed by labels."""
    return f"{_sum(by)} (rate({metric}{{{where}}}[{over}]))"


def increase(metric: str, by: str = "", where: str = INSTANCE, over: str = WINDOW) -> str:
    """Events within the range, summed by labels."""
    return f"{_sum(by)} (increase({metric}{{{where}}}[{over}]))"


def quotient(top: str, bottom: str) -> str:
    """A quotient of two expressions with equal labels; no point where the denominator is 0."""
    return f"{top} / ({bottom} > 0)"


def share(top: str, whole: str, of: str = "") -> str:
    """A quotient of parts by their whole, which has the labels `of` alone; no point where the whole is 0."""
    return f"{top} / on({of}) group_left() ({whole} > 0)"


def gauge(metric: str, by: str, aggregate: str = "max") -> str:
    """A gauge of the chosen instances, by labels."""
    return f"{aggregate} by ({by}) ({metric}{{{INSTANCE}}})"


def mean(histogram: str, by: str = "", where: str = INSTANCE, over: str = RATE) -> str:
    """Mean of the values of a histogram within the range."""
    return quotient(
        increase(f"{histogram}_sum", by, where, over), increase(f"{histogram}_count", by, where, over)
    )


def quantile(q: float, histogram: str, by: str = "", where: str = INSTANCE, over: str = RATE) -> str:
    """Quantile of the values of a histogram that are at least 0, interpolated within its buckets."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', labels, where, over)}) >= 0"


def wilson(side: str, histogram: str, by: str, where: str, over: str = WINDOW) -> str:
    """One end, `low` or `high`, of Wilson's 95% score interval for the mean of values in [0, 1].

    With S the sum and n the number of the values: (S + z^2/2 -+ z sqrt(S (n - S)/n + z^2/4)) / (n + z^2)
    (Wilson 1927). Values between 0 and 1 have at most the variance of 0 and 1 with the same mean, so
    the interval covers at least as often for them.
    """
    total = increase(f"{histogram}_sum", by, where, over)
    count = f"({increase(f'{histogram}_count', by, where, over)} > 0)"
    root = f"sqrt(clamp_min({total} * ({count} - {total}) / {count}, 0) + {Z**2 / 4:.4f})"
    sign = "-" if side == "low" else "+"
    return f"({total} + {Z**2 / 2:.4f} {sign} {Z} * {root}) / ({count} + {Z**2:.4f})"


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"
