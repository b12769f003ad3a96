"""Simulated worlds with known rewards, and logs of policies in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from laserve.bandit.offpolicy.estimators import OffPolicyLog
from laserve.lab.bench.coverage.policies import EPSILON, Floats, Integers, Learners, Policy, draw, evenly

Logging = Literal["uniform", "frozen", "learning"]
#: A log, and the target's chances for its rows.
Logged = tuple[OffPolicyLog, Floats]

ARMS = ("a", "b", "c", "d")
RANDOM = evenly(len(ARMS))
#: Features of a context, the constant included.
_FEATURES = 8
#: Candidates of a request.
_CANDIDATES = 4
#: Requests about one article, on average.
_PER_ARTICLE = 8
#: Share of the requests that all arms score.
_SHADOW_SHARE = 0.25
#: Decisions learned by the frozen LinUCB that writes logs.
_LEARNED = 1000
#: Requests that a true value is computed from: its standard error is about 0.001.
_POOL = 60_000


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Requests of L logs, N in each, before any policy answers."""

    #: Article of each request, shape (L, N); an article belongs to one log.
    article: Integers
    #: Contexts, shape (L, N, d).
    x: Floats
    #: Candidate that each arm would return, shape (L, N, K).
    winners: Integers
    #: Expected reward of each candidate, shape (L, N, candidates), in (0, 1).
    mean: Floats

    def by_arm(self, values: Floats) -> Floats:
        """Values of each arm's candidate, shape (L, N, K), from values of all candidates."""
        return np.take_along_axis(values, self.winners, axis=-1)


class World:
    """Articles, requests about them, and arms whose rankings depend on the request.

    A candidate has a quality z ~ N(0, 1); its reward is Beta-distributed, mostly near 0 or 1 as F1 is, with
    a mean that is logistic in z and in the easiness of the article. Contexts of one article are correlated
    too. Arm k ranks candidates by a score that correlates with z by x . skill_k, so that which arm is best
    depends on x, and no linear model of the rewards is exact.
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self._skill = generator.normal(size=(len(ARMS), _FEATURES)) * np.where(
            np.arange(_FEATURES) < 5, 0.5, 0.15
        )
        self._skill[:, 0] = generator.normal(0.35, 0.2, size=len(ARMS))
        self._level = generator.normal(-0.6, 0.3)

    def requests(self, logs: int, decisions: int) -> Requests:
        """New requests, with new articles in every log."""
        generator = self.generator
        articles = -(-decisions // _PER_ARTICLE)
        article = generator.integers(articles, size=(logs, decisions))
        own = (np.arange(logs)[:, None], article)
        x = np.ones((logs, decisions, _FEATURES))
        topic = generator.normal(size=(logs, articles, _FEATURES - 1))[own]
        x[..., 1:] = np.sqrt(0.5) * (topic + generator.normal(size=topic.shape))
        easy = 0.5 * generator.normal(size=(logs, articles))[own]
        z = generator.normal(size=(logs, decisions, _CANDIDATES))
        mean = 1 / (1 + np.exp(-(self._level + easy[..., None] + 2 * z)))
        skill = np.clip(x @ self._skill.T, -0.3, 0.95)[..., None]
        noise = generator.normal(size=(logs, decisions, len(ARMS), _CANDIDATES))
        winners = (skill * z[..., None, :] + np.sqrt(1 - skill**2) * noise).argmax(axis=-1)
        return Requests(article=article, x=x, winners=winners, mean=mean)

    def earned(self, requests: Requests) -> Floats:
        """Rewards of each arm's candidate, shape (L, N, K), in [0, 1]; equal for arms with one candidate."""
        return requests.by_arm(self.generator.beta(2 * requests.mean, 2 * (1 - requests.mean)))

    def value(self, target: Policy) -> float:
        """Mean reward of a frozen policy; its error is small beside the width of an interval."""
        requests = self.requests(_POOL, 1)  # each about its own article
        return float((target(requests.x) * requests.by_arm(requests.mean)).sum(axis=-1).mean())

    def learned(self, decisions: int, *, epsilon: float) -> Policy:
        """A LinUCB, frozen after learning from this number of its own decisions."""
        requests, learners = self.requests(1, decisions), _learners(1)
        learners.play(requests.x, self.earned(requests), self.generator)
        return learners.frozen(epsilon)

    def logs(self, kind: Logging, logs: int, decisions: int, target: Policy) -> Iterator[Logged]:
        """Logs of one kind, each with the target's chances, shape (N, K).

        As in the service, the winners of arms that did not score are not known.
        """
        requests = self.requests(logs, decisions)
        earned = self.earned(requests)
        chances, drawn = self._answer(kind, requests, earned)
        shadowed = self.generator.random(drawn.shape) < _SHADOW_SHARE
        known = shadowed[..., None] | (np.arange(len(ARMS)) == drawn[..., None])
        arrays: dict[str, Any] = {
            "x": requests.x,
            "drawn": drawn,
            "logged": chances,
            "reward": np.take_along_axis(earned, drawn[..., None], axis=-1)[..., 0],
            "winners": np.where(known, requests.winners, -1),
            "returned": np.take_along_axis(requests.winners, drawn[..., None], axis=-1)[..., 0],
            "shadowed": shadowed,
            "clusters": requests.article,
        }
        wanted = target(requests.x)
        for log in range(logs):
            rows = {name: array[log] for name, array in arrays.items()}
            yield OffPolicyLog(arms=ARMS, **rows), wanted[log]

    def _answer(self, kind: Logging, requests: Requests, earned: Floats) -> tuple[Floats, Integers]:
        """Chances, shape (L, N, K), and drawn arms, shape (L, N)."""
        if kind == "learning":
            return _learners(len(earned)).play(requests.x, earned, self.generator)
        policy = RANDOM if kind == "uniform" else self.learned(_LEARNED, epsilon=EPSILON)
        chances = policy(requests.x)
        return chances, draw(chances, self.generator.random(chances.shape[:2]))


def _learners(logs: int) -> Learners:
    return Learners(logs=logs, arms=len(ARMS), features=_FEATURES)
