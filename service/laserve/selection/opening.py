"""Opening the log: an empty one is started, a used one must agree with the configuration."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from laserve.config import Expected
from laserve.errors import ConfigError
from laserve.selection.context import ContextBuilder
from laserve.selection.learner import Learner
from laserve.storage.base import Store
from laserve.types import Event

#: What logs of older versions, which did not say it, were started with.
_SINCE_THEN = {"policy.discount": 1.0, "policy.reward_scaling": "none"}


async def open_log(
    *,
    store: Store,
    learner: Learner,
    context: ContextBuilder,
    arms: Sequence[str],
    prior: dict[str, float],
    discount: float = 1.0,
    reward_scaling: str = "none",
    learn_from: str | None,
    expected: Mapping[str, Expected] | None = None,
) -> None:
    """Load the state; append the events that this configuration needs.

    Args:
        arms: names of the configured arms.
        prior: ``structure`` and ``embedding`` ridge, and the ``reward`` that first arms are expected to give.
        discount: what a learned decision still counts after each further one, in (0, 1].
        reward_scaling: ``none`` or ``quantile``.
        learn_from: the configured kind of feedback, None to let the first one settle it.
        expected: what an arm that joins now is expected to earn, by an evaluation offline.

    Raises:
        ConfigError: the log was started with other features, prior, discount, scaling or kind of feedback.
        CorruptLog: the log does not verify.
    """
    await learner.load(store)
    wanted: dict[str, Any] = context.fingerprint() | {
        "policy.prior_structure": prior["structure"],
        "policy.prior_embedding": prior["embedding"],
        "policy.prior_reward": prior["reward"],
        "policy.discount": discount,
        "policy.reward_scaling": reward_scaling,
    }
    events = []
    now = time.time()
    if learner.state.position == 0:
        diagonal = context.prior_diagonal(structure=prior["structure"], embedding=prior["embedding"])
        body = {
            "settings": wanted,
            "prior_diagonal": diagonal.tolist(),
            "discount": discount,
            "reward_scaling": reward_scaling,
            "learn_from": learn_from,
        }
        events.append(Event(kind="start", created_at=now, body=body))
        prior_mean = context.prior_mean(prior["reward"])
    else:
        _agree(_SINCE_THEN | learner.state.parameters["settings"], wanted)
        if learner.state.learn_from is not None and learn_from not in (None, learner.state.learn_from):
            raise ConfigError(
                f"policy.learn_from: is {learn_from!r}, but this log learns from "
                f"{learner.state.learn_from!r}; set it back, or start another log in another data_dir"
            )
        prior_mean = learner.newcomer_mean()
    events += [
        Event(
            kind="arm",
            created_at=now,
            body={"name": name, "prior_mean": prior_mean.tolist()} | _expectation(expected or {}, name),
        )
        for name in arms
        if name not in learner.state.arms
    ]
    if events:
        async with store.writing() as log:
            placed = [await log.append(event) for event in events]
        learner.apply(placed)


def _expectation(expected: Mapping[str, Expected], name: str) -> dict[str, Any]:
    return {"expected": expected[name].model_dump()} if name in expected else {}


def _agree(logged: dict[str, Any], wanted: dict[str, Any]) -> None:
    different = [
        f"{name}: is {wanted.get(name)!r}, but the log was started with {logged.get(name)!r}"
        for name in sorted(logged | wanted)
        if logged.get(name) != wanted.get(name)
    ]
    if different:
        raise ConfigError("\n".join(different) + "\nset them back, or start another log in another data_dir")
