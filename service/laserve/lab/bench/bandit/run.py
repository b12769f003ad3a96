"""Benchmark of the bandit: time of a choice and an update beside mabwiser's LinUCB, and regret of policies.

Both libraries learn equal rewards, in turns of some requests in one run, so that a noisy machine disturbs
both alike. laserve does more in its time: a choice includes the propensity, and an update changes the state
of the log in addition to the inverse.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laserve.bandit.policies.base import draw as draw_arm
from laserve.bandit.policies.base import noise, uniform
from laserve.bandit.policies.exploration import Exploration
from laserve.bandit.policies.linucb import LinUCB
from laserve.errors import ConfigError
from laserve.eventlog.learner import Learner
from laserve.lab.bench.bandit.play import players, robustness
from laserve.lab.bench.bandit.worlds import SCENARIOS
from laserve.lab.charts.chart import beside, png
from laserve.lab.charts.lines import Line, Panel, PanelChart
from laserve.lab.output import Table, machine, show, write_bytes, write_json
from laserve.lab.progress import progress
from laserve.types import Event, Update, Vector

_K, _D = 8, 64
_DIMENSIONS = (32, 64, 128, 256, 512)
_ARMS = tuple(f"arm-{number}" for number in range(_K))
_ALPHA, _RIDGE = 1.0, 1.0
#: Updates before the first measurement, so that every arm has learned.
_WARM_UP = 10 * _K
#: Requests of one library in one turn.
_TURN = 100
_STEPS, _QUICK_STEPS = 400, 60
_SEEDS, _ROUNDS = 20, 600
_QUICK_SEEDS, _QUICK_ROUNDS = 3, 120


def run(*, quick: bool, out: Path | None) -> None:
    """Measure, print tables, and write the figures to `out` and the regret beside it as PNG.

    Keys: ``choose_us`` and ``update_us`` (medians, K = 8 arms, d = 64), ``mabwiser_choose_us`` and
    ``mabwiser_update_us`` (its predict and partial_fit), ``mabwiser_ratio`` (theirs over ours, choice and
    update together), ``growth`` (rows of ``d``, ``choose_us`` and ``update_us``), ``growth_exponent`` (slope
    of log(choice + update) over log d), ``scenarios`` (see `play.robustness`), ``seeds``,
    ``requests``, ``machine``.

    Args:
        quick: fewer repetitions, worlds and requests.
        out: JSON file.

    Raises:
        ConfigError: mabwiser, or matplotlib for the chart, is not installed, or a file cannot be written.
    """
    picture = beside(out) if out else None
    steps = _QUICK_STEPS if quick else _STEPS
    seeds, rounds = (_QUICK_SEEDS, _QUICK_ROUNDS) if quick else (_SEEDS, _ROUNDS)
    figures = beside_mabwiser(steps) | growth(steps)
    with progress("scenarios", len(SCENARIOS) * seeds * len(players())) as report:
        scenarios = robustness(seeds=seeds, rounds=rounds, progress=report.advance)
    figures |= {
        "scenarios": scenarios,
        "seeds": seeds,
        "requests": rounds,
        "machine": machine(),
    }
    _print(figures)
    if out and picture:
        write_json(out, figures)
        write_bytes(picture, png(regret_chart(figures)), "--json")


def beside_mabwiser(steps: int) -> dict[str, float]:
    """Medians of both libraries, in turn on equal requests, in microseconds, and their ratio."""
    try:
        from mabwiser.mab import MAB, LearningPolicy
    except ImportError as error:
        raise ConfigError(f"{error}; pip install mabwiser, or `make install` for all") from error
    ours, x, rewards = Subject(_D), _contexts(_D, _WARM_UP + steps), np.random.default_rng(1).random(steps)
    taught = np.array([_ARMS[number % _K] for number in range(_WARM_UP)])
    theirs = MAB(arms=list(_ARMS), learning_policy=LearningPolicy.LinUCB(alpha=_ALPHA, l2_lambda=_RIDGE))
    theirs.fit(taught, np.full(_WARM_UP, 0.5), x[:_WARM_UP])
    ours.warm_up(x[:_WARM_UP])
    seconds: dict[str, list[float]] = {name: [] for name in ("choose", "update", "predict", "partial_fit")}
    for first in range(0, steps, _TURN):
        rows, earned = x[_WARM_UP + first :][:_TURN], rewards[first:][:_TURN]
        for row, reward in zip(rows, earned, strict=False):
            ours.step(row, float(reward), seconds["choose"], seconds["update"])
        for row, reward in zip(rows, earned, strict=False):
            arm = _timed(seconds["predict"], theirs.predict, row[None])
            _timed(seconds["partial_fit"], theirs.partial_fit, np.array([arm]), np.array([reward]), row[None])
    us = {name: float(np.median(values)) * 1e6 for name, values in seconds.items()}
    return {
        "choose_us": us["choose"],
        "update_us": us["update"],
        "mabwiser_choose_us": us["predict"],
        "mabwiser_update_us": us["partial_fit"],
        "mabwiser_ratio": (us["predict"] + us["partial_fit"]) / (us["choose"] + us["update"]),
    }


def growth(steps: int) -> dict[str, Any]:
    """Medians of laserve alone over the number of features, in microseconds."""
    rows, total = [], []
    for d in _DIMENSIONS:
        subject, x = Subject(d), _contexts(d, _WARM_UP + steps)
        subject.warm_up(x[:_WARM_UP])
        choose: list[float] = []
        update: list[float] = []
        for row in x[_WARM_UP:]:
            subject.step(row, 0.5, choose, update)
        medians = float(np.median(choose)) * 1e6, float(np.median(update)) * 1e6
        rows.append({"d": d, "choose_us": medians[0], "update_us": medians[1]})
        total.append(sum(medians))
    return {"growth": rows, "growth_exponent": slope(_DIMENSIONS, total)}


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Slope of the least squares line through (log x, log y)."""
    return float(np.polynomial.Polynomial.fit(np.log(x), np.log(y), 1).convert().coef[1])


class Subject:
    """A learner with LinUCB over K arms, as the service has one.

    Args:
        d: number of features.
    """

    def __init__(self, d: int) -> None:
        exploration = Exploration(epsilon=0.02, epsilon_start=0.02, epsilon_start_decisions=0)
        self.policy = LinUCB(alpha=_ALPHA, exploration=exploration)
        self.learner = Learner(seed=0)
        self._append("start", body={"settings": {}, "prior_diagonal": [_RIDGE] * d, "learn_from": None})
        for arm in _ARMS:
            self._append("arm", body={"name": arm, "prior_mean": [0.0] * d})

    def warm_up(self, x: Any) -> None:
        """Teach each arm in turn, with x of shape (n, d)."""
        for number, row in enumerate(x):
            self.learner.apply([self._lesson(row, _ARMS[number % _K], 0.5)])

    def step(self, x: Vector, reward: float, choose: list[float], update: list[float]) -> None:
        """Choose for x, shape (d,), and learn the reward; the seconds are appended to the lists."""
        decision_id = f"{self.learner.state.position}"
        arm = _timed(choose, self._choose, x, decision_id)
        _timed(update, self.learner.apply, [self._lesson(x, arm, reward)])

    def _choose(self, x: Vector, decision_id: str) -> str:
        chances = self.policy.probabilities(self.learner.model, x, _ARMS, noise(0, decision_id))
        return _ARMS[draw_arm(chances, uniform(0, decision_id))]

    def _lesson(self, x: Vector, arm: str, reward: float) -> Event:
        body = {"kind": "reward", "played": arm, "reward": reward, "drawn": arm, "propensity": 1.0}
        return Event(
            position=self.learner.state.position + 1,
            kind="feedback",
            created_at=0.0,
            x=x,
            updates=(Update(arm=arm, reward=reward),),
            body=body | {"ordinal": self.learner.state.decisions + 1},
        )

    def _append(self, kind: str, body: dict[str, Any]) -> None:
        position = self.learner.state.position + 1
        self.learner.apply([Event(position=position, kind=kind, created_at=0.0, body=body)])


def _contexts(d: int, count: int) -> Any:
    """Shape (count, d); the first feature is 1."""
    x = np.random.default_rng(0).normal(size=(count, d))
    x[:, 0] = 1.0
    return x


def _timed(seconds: list[float], work: Callable[..., Any], *arguments: Any) -> Any:
    began = time.perf_counter()
    result = work(*arguments)
    seconds.append(time.perf_counter() - began)
    return result


def regret_chart(figures: Mapping[str, Any]) -> PanelChart:
    """Cumulative regret over requests: a panel for each scenario, a line with a band for each policy."""
    panels = {}
    for scenario, row in figures["scenarios"].items():
        curves = {name: policy["curve"] for name, policy in row["policies"].items()}
        lines = {
            name: Line(
                x=curve["requests"],
                y=curve["mean"],
                band=(curve["low"], curve["high"]),
                bound=name == "random",
            )
            for name, curve in curves.items()
        }
        panels[scenario] = Panel(lines=lines, says=row["what"])
    title = f"Cumulative regret: mean of {figures['seeds']} simulated worlds, and the band of the middle 80%"
    return PanelChart(title=title, panels=panels, across="requests")


def _print(figures: dict[str, Any]) -> None:
    ours, theirs = ([figures[f"{of}{key}"] for key in ("choose_us", "update_us")] for of in ("", "mabwiser_"))
    speed = Table(
        title=f"Microseconds, K = {_K}, d = {_D}",
        columns=("", "choose", "update"),
        rows=[["laserve", *(f"{us:.1f}" for us in ours)], ["mabwiser", *(f"{us:.0f}" for us in theirs)]],
    )
    names = list(next(iter(figures["scenarios"].values()))["policies"])
    regret = Table(
        title=f"Regret after {figures['requests']} requests, mean of {figures['seeds']} worlds",
        columns=("scenario", *names),
        rows=[
            [scenario, *(f"{row['policies'][name]['regret']['mean']:.0f}" for name in names)]
            for scenario, row in figures["scenarios"].items()
        ],
    )
    show(
        speed,
        f"mabwiser takes {figures['mabwiser_ratio']:.1f} times as long; choose and update grow with d to the "
        f"power of {figures['growth_exponent']:.2f} from d = {_DIMENSIONS[0]} to {_DIMENSIONS[-1]}",
        regret,
        figures["machine"],
    )
