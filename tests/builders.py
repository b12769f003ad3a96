"""Builders of small values for tests: every argument has a default; a test sets only its subject."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from laserve.arms.arm import Arm
from laserve.arms.circuit import Circuit
from laserve.bandit.policies.exploration import Exploration
from laserve.errors import ArmFailed
from laserve.lab.data.row import Answer, Row
from laserve.lab.pools.pool import Pool, PoolArm, PoolQuestion, Recipe
from laserve.scoring.base import Reading
from laserve.scoring.plain import PlainModel
from laserve.types import (
    ArmWhy,
    Candidate,
    Decision,
    Document,
    Event,
    Feedback,
    FeedbackKind,
    Request,
    Sampling,
    Update,
    Vector,
)


def make_sampling(**changes: Any) -> Sampling:
    return replace(Sampling(n=4, temperature=0.8, top_p=1.0, max_tokens=16), **changes)


def make_request(**changes: Any) -> Request:
    """A question without documents, unless a prompt or messages are given."""
    if not changes.keys() & {"question", "prompt", "messages"}:
        changes["question"] = "who built the bridge"
    return Request(**{"sampling": make_sampling(), "timeout_s": 60.0} | changes)


def make_row(*qualities: float, texts: Sequence[str] = (), **changes: Any) -> Row:
    """A row with answers of these qualities; the texts differ, and each is longer than the one before."""
    texts = texts or ["x" * (index + 1) for index in range(len(qualities))]
    answers = tuple(
        Answer(text=text, quality=quality) for text, quality in zip(texts, qualities, strict=True)
    )
    row = Row(id="1", file="rows", position="line 1", request=make_request(), source="1", answers=answers)
    return replace(row, **changes)


def make_documents(*texts: str) -> tuple[Document, ...]:
    return tuple(Document(text=text) for text in texts)


def make_candidate(index: int = 0, text: str = "blue", **changes: Any) -> Candidate:
    return replace(
        Candidate(index=index, text=text, finish_reason="stop", tokens=2, logprob=-1.0 - index), **changes
    )


def make_candidates(*texts: str) -> tuple[Candidate, ...]:
    """Candidates with these texts; the mean log-probability falls with the index."""
    return tuple(make_candidate(index, text) for index, text in enumerate(texts))


def make_why(chances: Mapping[str, float]) -> tuple[ArmWhy, ...]:
    return tuple(ArmWhy(arm=arm, mean=0.5, width=1.0, probability=chance) for arm, chance in chances.items())


def make_decision(**changes: Any) -> Decision:
    """A decision of three arms over candidates a, b, a, c; `loglik` chose the first."""
    candidates = changes.pop("candidates", None) or make_candidates("a", "b", "a", "c")
    texts = [candidate.text for candidate in candidates]
    decision = Decision(
        id="decision-1",
        created_at=1000.0,
        key="",
        policy="linucb",
        arm="loglik",
        propensity=0.5,
        scored_by="loglik",
        why=make_why({"loglik": 0.5, "consensus": 0.25, "relevance": 0.25}),
        log_position=4,
        x=np.array([1.0, 0.5]),
        task=None,
        sampling=make_sampling(n=len(candidates)),
        index=0,
        score=-1.0,
        choices={"loglik": 0, "consensus": 1, "relevance": 3},
        scores={"loglik": tuple(candidate.logprob for candidate in candidates)},
        same_text=tuple(texts.index(text) for text in texts),
        prompt_tokens=7,
        truncated=False,
        degraded=(),
        timings={"total": 0.1},
        candidates=candidates,
        metadata={},
        request={"prompt": "p"},
    )
    return replace(decision, **changes)


def make_feedback(kind: FeedbackKind, value: Any, **changes: Any) -> Feedback:
    return replace(Feedback(decision_id="decision-1", kind=kind, value=value), **changes)


def make_start(
    position: int = 1,
    *,
    prior_diagonal: Sequence[float],
    learn_from: str | None = None,
    discount: float | None = None,
    reward_scaling: str | None = None,
) -> Event:
    """The first event of a log; in the form of older versions without a discount and a scaling."""
    body = {"settings": {}, "prior_diagonal": list(prior_diagonal), "learn_from": learn_from}
    if discount is not None:
        body["discount"] = discount
    if reward_scaling is not None:
        body["reward_scaling"] = reward_scaling
    return Event(position=position, kind="start", created_at=1.0, body=body)


def make_arm_event(position: int, name: str, prior_mean: Iterable[float]) -> Event:
    return Event(
        position=position,
        kind="arm",
        created_at=1.0,
        body={"name": name, "prior_mean": [float(value) for value in prior_mean]},
    )


def make_change(
    position: int = 0,
    what: str = "generator",
    *,
    kept: float = 0.5,
    arm: str | None = None,
    before: str | None = "old",
    after: str = "new",
) -> Event:
    body = {"what": what, "before": before, "after": after, "kept": kept}
    return Event(
        position=position,
        kind="change",
        created_at=1.0,
        body=body | ({} if arm is None else {"arm": arm}),
    )


def make_teaching(
    position: int,
    x: Sequence[float] | Vector | None,
    updates: Iterable[Update],
    *,
    replaces: Iterable[Update] = (),
    played: str | None = None,
    decision_id: str = "decision-1",
    **lesson: Any,
) -> Event:
    """A learned feedback; by default its first arm is the one that chose the answer.

    Args:
        lesson: fields that older versions did not write: `ordinal`, `drawn`, `propensity`, `replaced_reward`.
    """
    updates = tuple(updates)
    return Event(
        position=position,
        kind="feedback",
        created_at=1.0,
        decision_id=decision_id,
        x=None if x is None else np.asarray(x, dtype=np.float64),
        updates=updates,
        replaces=tuple(replaces),
        body={
            "kind": "reward",
            "played": played or (updates[0].arm if updates else None),
            "reward": updates[0].reward if updates else 0.0,
            "learned": bool(updates),
        }
        | lesson,
    )


class Script:
    """Writer of events as by the service: without gaps, and later feedback on a decision replaces earlier.

    Args:
        discount: None writes the log of an older version, without a discount.
    """

    def __init__(
        self,
        *,
        prior_diagonal: Sequence[float],
        prior_mean: Sequence[float],
        arms: Sequence[str],
        discount: float | None = None,
    ) -> None:
        self.discount = discount
        self.events = [make_start(prior_diagonal=prior_diagonal, discount=discount)]
        for arm in arms:
            self.join(arm, prior_mean)
        #: Decision -> its context and its present updates, in the order of learning.
        self.taught: dict[str, tuple[Vector, tuple[Update, ...]]] = {}
        #: Decision -> its present lesson for `blend`.
        self.blended: dict[str, Mapping[str, Any]] = {}

    def join(self, arm: str, prior_mean: Sequence[float]) -> Event:
        self.events.append(make_arm_event(len(self.events) + 1, arm, prior_mean))
        return self.events[-1]

    def change(self, what: str = "generator", **fields: Any) -> Event:
        self.events.append(make_change(len(self.events) + 1, what, **fields))
        return self.events[-1]

    def teach(
        self,
        decision_id: str,
        x: Vector,
        updates: Sequence[Update],
        *,
        propensity: float | None = None,
        blend: Mapping[str, Any] | None = None,
    ) -> Event:
        """Append a feedback; the first update is of the arm that was drawn and chose the answer.

        Args:
            propensity: None writes an event of an older version, without a propensity.
            blend: the decision's lesson for `blend`.
        """
        _, before = self.taught.get(decision_id, (x, ()))
        self.taught[decision_id] = (x, tuple(updates))
        lesson: dict[str, Any] = {}
        if self.discount is not None:
            lesson["ordinal"] = list(self.taught).index(decision_id) + 1
        if propensity is not None:
            lesson |= {"drawn": updates[0].arm, "propensity": propensity}
            lesson |= {"replaced_reward": before[0].reward} if before else {}
        if blend is not None:
            lesson["blend"] = blend
        if decision_id in self.blended:
            lesson["replaced_blend"] = self.blended[decision_id]
        self.blended |= {decision_id: blend} if blend is not None else {}
        event = make_teaching(
            len(self.events) + 1,
            x,
            updates,
            replaces=before,
            played=updates[0].arm,
            decision_id=decision_id,
            **lesson,
        )
        self.events.append(event)
        return event

    def sums(self, arm: str, d: int) -> tuple[np.ndarray[Any, Any], Vector]:
        """S and b of one arm in closed form, from the updates that remain after all replacements."""
        S, b = np.zeros((d, d)), np.zeros(d)
        for age, (x, updates) in enumerate(reversed(self.taught.values())):
            kept = 1.0 if self.discount is None else self.discount**age
            for update in updates:
                if update.arm == arm:
                    S += kept * update.weight * np.outer(x, x)
                    b += kept * update.weight * update.reward * x
        return S, b


@dataclass(frozen=True, kw_only=True)
class KnownView:
    """View with the values of a test, by arm; values that are not set are 0."""

    mean: Mapping[str, float] = field(default_factory=dict)
    width: Mapping[str, float] = field(default_factory=dict)
    count: Mapping[str, float] = field(default_factory=dict)
    average: Mapping[str, float] = field(default_factory=dict)
    loss: Mapping[str, float] = field(default_factory=dict)
    decisions: int = 0
    #: Sum of the decisions' weights; None for the number of decisions.
    worn: float | None = None
    turns: int = 0

    @property
    def evidence(self) -> float:
        return float(self.decisions) if self.worn is None else self.worn

    def means(self, x: Vector, arms: Sequence[str]) -> Vector:
        return _listed(self.mean, arms)

    def widths(self, x: Vector, arms: Sequence[str]) -> Vector:
        return _listed(self.width, arms)

    def counts(self, arms: Sequence[str]) -> Vector:
        return _listed(self.count, arms)

    def averages(self, arms: Sequence[str]) -> Vector:
        return _listed(self.average, arms)

    def preferences(self, x: Vector, arms: Sequence[str]) -> Vector:
        return np.full(len(arms), 1 / len(arms))

    def losses(self, arms: Sequence[str]) -> Vector:
        return _listed(self.loss, arms)

    def turn(self, policy: str) -> int:
        return self.turns


def _listed(values: Mapping[str, float], arms: Sequence[str]) -> Vector:
    return np.array([values.get(arm, 0.0) for arm in arms])


def make_exploration(epsilon: float = 0.0, *, start: float | None = None, until: int = 0) -> Exploration:
    """Exploration, by default none; `start` applies to the first `until` decisions."""
    return Exploration(
        epsilon=epsilon,
        epsilon_start=epsilon if start is None else start,
        epsilon_start_decisions=until,
    )


class StubModel:
    """Fake of a reward model that records the texts of its calls in `asked`.

    A test changes `score`, and adds `prefill` and `truncated` where the model reads ahead.

    Args:
        scores: text -> score; or an exception to raise; or any other value to return.
    """

    kind = "stub"

    def __init__(self, scores: Any = None, *, free: bool = False, needs_all: bool = False) -> None:
        self.scores = {} if scores is None else scores
        self.free = free
        self.needs_all = needs_all
        self.asked: list[list[str]] = []
        self.closed = False

    @property
    def reads_ahead(self) -> bool:
        return PlainModel(self).reads_ahead

    async def load(self) -> None: ...

    def open(self, request: Request) -> Reading:
        return PlainModel(self).open(request)

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
        self.asked.append([candidate.text for candidate in candidates])
        if isinstance(self.scores, Exception):
            raise self.scores
        if isinstance(self.scores, Mapping):
            return np.array([self.scores.get(candidate.text, 0.0) for candidate in candidates])
        return self.scores

    async def close(self) -> None:
        self.closed = True


class UnloadableModel(StubModel):
    """Fake of a reward model that fails to load."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error or ArmFailed("no weights")

    async def load(self) -> None:
        raise self.error


def make_circuit(*, failures: int = 5, open_s: float = 10.0) -> Circuit:
    return Circuit(failures=failures, open_s=open_s, on_change=lambda state: None)


def make_arm(name: str, model: Any, **changes: Any) -> Arm:
    """A loaded arm; `failures` and `open_s` are settings of its circuit."""
    circuit = make_circuit(**{each: changes.pop(each) for each in ("failures", "open_s") if each in changes})
    settings: dict[str, Any] = {"timeout_s": 30.0, "circuit": circuit, "loading": "ready"} | changes
    return Arm(name=name, model=model, **settings)


def make_pool_question(
    scores: Mapping[str, Sequence[float]], qualities: Sequence[float], **changes: Any
) -> PoolQuestion:
    """A question whose candidates' log-probabilities fall with the index; x is the bias and one feature."""
    n = len(qualities)
    question = PoolQuestion(
        id="q1",
        file="questions",
        task="qa",
        source="article",
        metric="f1",
        x=np.array([1.0, 0.5]),
        logprobs=-1.0 - np.arange(n),
        tokens=(1,) * n,
        qualities=np.asarray(qualities, dtype=np.float64),
        scores={arm: np.asarray(values, dtype=np.float64) for arm, values in scores.items()},
    )
    return replace(question, **changes)


def make_pool(
    *questions: PoolQuestion, features: Sequence[str] = ("bias", "task:qa"), **changes: Any
) -> Pool:
    """A pool of arms of kind ``fake`` that are not free; questions without an id of their own get one."""
    recipe = Recipe(
        arms=tuple(
            PoolArm(name=arm, kind="fake", options={}, free=False)
            for arm in (questions[0].scores if questions else ())
        ),
        generator={"kind": "fake"},
        sampling={"n": 2},
        context={"context.encoder": "hash"},
        features=tuple(features),
        laserve="0",
    )
    named = (
        replace(question, id=f"q{number}") if question.id == "q1" else question
        for number, question in enumerate(questions, start=1)
    )
    return replace(Pool(recipe=recipe, questions=tuple(named), left_out={}), **changes)
