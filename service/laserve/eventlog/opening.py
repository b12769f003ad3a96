"""Opening the log: an empty one is started, a used one must agree with the configuration."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from laserve.bandit.state.fold import BanditState
from laserve.config import Expected
from laserve.context.features import ContextBuilder
from laserve.errors import ConfigError
from laserve.eventlog.learner import Learner
from laserve.eventlog.model_changes import Fingerprints, changes, tell
from laserve.storage.base import Store
from laserve.types import Event, Vector

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
    fingerprints: Callable[[BanditState], Fingerprints] = lambda state: Fingerprints(),
    on_change: float = 1.0,
) -> None:
    """Load the state; append the events that this configuration needs.

    Replicas that start together each find that these are missing, so it is looked again, at all that others
    have appended, while nobody else can.

    Args:
        arms: names of the configured arms.
        prior: ``structure`` and ``embedding`` ridge, and the ``reward`` that first arms are expected to give.
        discount: what a learned decision still counts after each further one, in (0, 1].
        reward_scaling: ``none`` or ``quantile``.
        learn_from: the configured kind of feedback, None to let the first one settle it.
        expected: what an arm that joins now is expected to earn, by an evaluation offline.
        fingerprints: what candidates and scores come from now, also for arms that the log alone has; may
            read files.
        on_change: share of what was learned that is kept where they are others than the log knows, in [0, 1].

    Raises:
        ConfigError: the log was started with other features, prior, discount, scaling or kind of feedback.
        CorruptLog: the log does not verify.
    """
    await learner.load(store)
    opening = _Opening(
        context=context,
        arms=arms,
        prior=prior,
        discount=discount,
        reward_scaling=reward_scaling,
        learn_from=learn_from,
        expected=expected or {},
        fingerprints=await asyncio.to_thread(fingerprints, learner.state),
        on_change=on_change,
    )
    if not opening.events(learner):
        return
    async with store.writing() as log:
        if await log.tip() != learner.state.position:
            await learner.catch_up(store)
        now, state = time.time(), learner.state.fork()
        placed = [await log.append(replace(event, created_at=now)) for event in opening.events(learner)]
        for event in placed:
            state.apply(event)
    learner.adopt(state, placed)
    tell(placed)


@dataclass(frozen=True, kw_only=True)
class _Opening:
    """What a log must agree with; see `open_log`."""

    context: ContextBuilder
    arms: Sequence[str]
    prior: Mapping[str, float]
    discount: float
    reward_scaling: str
    learn_from: str | None
    expected: Mapping[str, Expected]
    fingerprints: Fingerprints
    on_change: float

    def events(self, learner: Learner) -> list[Event]:
        """Those that are missing at the end of the log, not placed yet. Raises ConfigError."""
        state = learner.state
        if state.position == 0:
            events, prior_mean = [self._start()], self.context.prior_mean(self.prior["reward"])
        else:
            self._check(state)
            events = changes(state, self.fingerprints, kept=self.on_change)
            prior_mean = learner.newcomer_mean()
        joining = [name for name in self.arms if name not in state.arms]
        return events + [self._join(name, prior_mean) for name in joining]

    @property
    def _settings(self) -> dict[str, Any]:
        return self.context.fingerprint() | {
            "policy.prior_structure": self.prior["structure"],
            "policy.prior_embedding": self.prior["embedding"],
            "policy.prior_reward": self.prior["reward"],
            "policy.discount": self.discount,
            "policy.reward_scaling": self.reward_scaling,
        }

    def _start(self) -> Event:
        ridge = self.context.prior_diagonal(
            structure=self.prior["structure"], embedding=self.prior["embedding"]
        )
        body = {
            "settings": self._settings,
            "prior_diagonal": ridge.tolist(),
            "discount": self.discount,
            "reward_scaling": self.reward_scaling,
            "learn_from": self.learn_from,
        }
        known = self.fingerprints.shared
        return Event(kind="start", created_at=0.0, body=body | ({"fingerprints": known} if known else {}))

    def _join(self, name: str, prior_mean: Vector) -> Event:
        body: dict[str, Any] = {"name": name, "prior_mean": prior_mean.tolist()}
        if name in self.expected:
            body["expected"] = self.expected[name].model_dump()
        if (known := self.fingerprints.arms.get(name)) is not None:
            body["fingerprint"] = known
        return Event(kind="arm", created_at=0.0, body=body)

    def _check(self, state: BanditState) -> None:
        """Raise ConfigError where the log was started with something else."""
        _agree(_SINCE_THEN | state.parameters["settings"], self._settings)
        if state.learn_from is not None and self.learn_from not in (None, state.learn_from):
            raise ConfigError(
                f"policy.learn_from: is {self.learn_from!r}, but this log learns from "
                f"{state.learn_from!r}; set it back, or start another log in another data_dir"
            )


def _agree(logged: dict[str, Any], wanted: dict[str, Any]) -> None:
    different = [
        f"{name}: is {wanted.get(name)!r}, but the log was started with {logged.get(name)!r}"
        for name in sorted(logged | wanted)
        if logged.get(name) != wanted.get(name)
    ]
    if different:
        raise ConfigError("\n".join(different) + "\nset them back, or start another log in another data_dir")
