"""Values for the contracts: plain ones, and all that the types allow."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from laserve.storage.base import StoredFeedback
from laserve.types import ArmWhy, Candidate, Decision, Document, Event, Request, Sampling, Update

DIMENSION = 5
#: Text with all that a column or a file format could stumble over.
ODD_TEXT = "a\0b \ufeff\u202e\u2028 ﷽ 👩‍👩‍👧 \U0010ffff \x7f\r\n\"'\\ %s ; --"


def context(seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(DIMENSION)


def decision(decision_id: str = "d-1", **changes: Any) -> Decision:
    """A decision of two candidates with a value in every field."""
    whole = Decision(
        id=decision_id,
        created_at=1_700_000_000.25,
        key="team",
        policy="linucb",
        arm="loglik",
        propensity=0.9,
        scored_by="loglik",
        why=(
            ArmWhy(arm="loglik", mean=0.5, width=0.25, probability=0.9),
            ArmWhy(arm="consensus", mean=0.4, width=0.125, probability=0.1),
        ),
        log_position=3,
        x=context(),
        task="single-doc-qa",
        sampling=Sampling(n=2, temperature=0.7, top_p=0.9, max_tokens=16, stop=("\n", "END"), seed=7),
        index=1,
        score=-1.5,
        choices={"loglik": 1, "consensus": 0},
        scores={"loglik": (-2.5, -1.5), "consensus": (0.75, None)},
        same_text=(0, 1),
        prompt_tokens=11,
        truncated=True,
        degraded=("arm_failed: relevance: told to fail",),
        timings={"choose": 0.001, "total": 0.5},
        candidates=(
            Candidate(index=0, text="secret one", finish_reason="stop", tokens=3, logprob=-2.5),
            Candidate(index=1, text="secret two", finish_reason="length", tokens=16, logprob=-1.5),
        ),
        metadata={"user": "secret user"},
        request={"question": "secret question", "documents": [{"title": "", "text": "secret text"}]},
        closes_at=1_700_000_060.25,
        default_reward=0.5,
    )
    return replace(whole, **changes)


def event(number: int = 1, **changes: Any) -> Event:
    """A feedback event that teaches one arm."""
    whole = Event(
        kind="feedback",
        created_at=1_700_000_000.0 + number,
        decision_id=f"d-{number}",
        x=context(number),
        updates=(Update(arm="loglik", reward=0.25, weight=1.0),),
        body={"kind": "reward", "played": "loglik", "reward": 0.25, "learned": True},
    )
    return replace(whole, **changes)


def feedback(number: int = 1, **changes: Any) -> StoredFeedback:
    whole = StoredFeedback(
        key="team",
        identity=f"decision:d-{number}::reward",
        decision_id=f"d-{number}",
        digest="0" * 64,
        body={"decision_id": f"d-{number}", "reward": 0.25, "source": "secret rater"},
        learned=True,
        reward=0.25,
        position=number,
        created_at=1_700_000_000.0 + number,
    )
    return replace(whole, **changes)


def fields(value: Decision | Event) -> dict[str, Any]:
    """Every field, the context as bytes: arrays have no plain equality."""
    return vars(value) | {"x": None if value.x is None else value.x.tobytes()}


def spelled(value: Decision | Event) -> str:
    """Every field in writing, where 1 is not 1.0 and -0.0 is not 0.0; mappings in the order of their keys."""
    return json.dumps(
        asdict(value) | {"x": None if value.x is None else value.x.tobytes().hex()}, sort_keys=True
    )


def request(**changes: Any) -> Request:
    """A question with one document, unless the changes say otherwise."""
    whole: dict[str, Any] = {
        "question": "who built the harbour clock",
        "documents": (Document(title="Clock", text="The harbour clock was built by Ada Thorn in 1874."),),
        "sampling": Sampling(n=4, temperature=1.0, top_p=1.0, max_tokens=16),
        "timeout_s": 60.0,
    }
    if changes.keys() & {"prompt", "messages"}:
        del whole["question"], whole["documents"]
    return Request(**whole | changes)


def candidate(index: int, text: str, logprob: float = -1.0) -> Candidate:
    return Candidate(index=index, text=text, finish_reason="stop", tokens=3, logprob=logprob)


texts = st.text(max_size=30) | st.just(ODD_TEXT)
names = st.text(min_size=1, max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
times = st.floats(min_value=1.0, max_value=1e11)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, json_values, max_size=4)
vectors = st.lists(finite, min_size=1, max_size=6).map(lambda row: np.array(row, dtype=np.float64))
updates = st.lists(
    st.builds(
        Update,
        arm=names,
        reward=st.floats(0, 1),
        weight=st.floats(0, 1),
        unscaled=st.none() | st.floats(0, 1),
    ),
    max_size=3,
).map(tuple)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """Any decision whose texts are kept; its id is left to the caller."""
    n = draw(st.integers(1, 3))
    arms = draw(st.lists(names, unique=True, min_size=1, max_size=3))
    maybe_score = st.none() | finite
    return Decision(
        id="",
        created_at=draw(times),
        key=draw(texts),
        policy=draw(texts),
        arm=draw(names),
        propensity=draw(st.none() | st.floats(0, 1)),
        scored_by=draw(st.none() | names),
        why=tuple(
            ArmWhy(arm=a, mean=draw(finite), width=draw(finite), probability=draw(finite)) for a in arms
        ),
        log_position=draw(st.integers(0, 2**53)),
        x=draw(vectors),
        task=draw(st.none() | texts),
        sampling=draw(
            st.builds(
                Sampling,
                n=st.just(n),
                temperature=finite,
                top_p=finite,
                max_tokens=st.integers(1, 2**40),
                stop=st.lists(texts, max_size=3).map(tuple),
                seed=st.none() | st.integers(0, 2**63 - 1),
            )
        ),
        index=draw(st.integers(0, n - 1)),
        score=draw(maybe_score),
        choices={arm: draw(st.integers(0, n - 1)) for arm in arms},
        scores={arm: tuple(draw(maybe_score) for _ in range(n)) for arm in arms},
        same_text=tuple(range(n)),
        prompt_tokens=draw(st.integers(0, 2**40)),
        truncated=draw(st.booleans()),
        degraded=draw(st.lists(texts, max_size=2).map(tuple)),
        timings=draw(st.dictionaries(names, finite, max_size=3)),
        candidates=tuple(
            Candidate(
                index=i,
                text=draw(texts),
                finish_reason=draw(st.sampled_from(["stop", "length"])),
                tokens=draw(st.integers(0, 2**40)),
                logprob=draw(finite),
            )
            for i in range(n)
        ),
        metadata=draw(objects),
        request=draw(objects),
        closes_at=draw(st.none() | times),
        default_reward=draw(st.none() | st.floats(0, 1)),
    )


events = st.builds(
    Event,
    kind=names,
    created_at=times,
    decision_id=st.none() | texts,
    x=st.none() | vectors,
    updates=updates,
    replaces=updates,
    body=objects,
)
