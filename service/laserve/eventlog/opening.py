"""The opening of the log: an empty log is started, another must agree with the configuration."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from laserve.bandit.state.fold import BanditState
from laserve.config import Expected, PolicySettings
from laserve.context.features import ContextBuilder
from laserve.errors import ConfigError
from laserve.eventlog.event_log import Entry, EventLog, Events, Written
from laserve.eventlog.learner import Learner
from laserve.eventlog.model_changes import Fingerprints, change_events, log_changes
from laserve.storage.base import LogWriter, Store
from laserve.types import Event, Vector

#: Values of settings that the logs of older versions do not record.
_UNRECORDED = {"policy.discount": 1.0, "policy.reward_scaling": "none"}
_OR_NEW_LOG = "or start another log in another data_dir"


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The configuration that a new log is started with, and that an existing log must agree with."""

    context: ContextBuilder
    #: Names of the configured arms.
    arms: Sequence[str]
    #: Prior, discount, scaling, kind of feedback that teaches, and share that is kept on a change.
    policy: PolicySettings
    #: Arm -> its expected reward by an offline evaluation, used when the arm joins.
    expected: Mapping[str, Expected] = field(default_factory=dict)
    #: Takes the present fingerprints, including those of arms that only the log has; it may read files.
    fingerprints: Callable[[BanditState], Fingerprints] = lambda state: Fingerprints()

    def missing(
        self, state: BanditState, now: Fingerprints, newcomer_mean: Callable[[], Vector]
    ) -> list[Event]:
        """Events that the log lacks, without positions yet. Raises ConfigError as `LogOpening.read` does.

        Args:
            state: the fold of the log.
            now: present fingerprints.
            newcomer_mean: gives the prior mean of an arm that joins an existing log, shape (d,).
        """
        if state.position == 0:
            events, prior_mean = [self._start(now)], self.context.prior_mean(self.policy.prior_reward)
        else:
            self._check(state)
            events = change_events(state, now, kept=self.policy.on_change)
            prior_mean = newcomer_mean()
        joining = [name for name in self.arms if name not in state.arms]
        return events + [self._join(name, prior_mean, now.arms.get(name)) for name in joining]

    @property
    def _settings(self) -> dict[str, Any]:
        names = ("prior_structure", "prior_embedding", "prior_reward", "discount", "reward_scaling")
        return self.context.fingerprint() | {f"policy.{name}": getattr(self.policy, name) for name in names}

    def _start(self, now: Fingerprints) -> Event:
        policy = self.policy
        ridge = self.context.prior_diagonal(
            structure=policy.prior_structure, embedding=policy.prior_embedding
        )
        body = {
            "settings": self._settings,
            "prior_diagonal": ridge.tolist(),
            "discount": policy.discount,
            "reward_scaling": policy.reward_scaling,
            "learn_from": policy.learn_from,
        }
        shared = now.shared
        return Event(kind="start", created_at=0.0, body=body | ({"fingerprints": shared} if shared else {}))

    def _join(self, name: str, prior_mean: Vector, fingerprint: str | None) -> Event:
        body: dict[str, Any] = {"name": name, "prior_mean": prior_mean.tolist()}
        if name in self.expected:
            body["expected"] = self.expected[name].model_dump()
        if fingerprint is not None:
            body["fingerprint"] = fingerprint
        return Event(kind="arm", created_at=0.0, body=body)

    def _check(self, state: BanditState) -> None:
        """Raise ConfigError where the log was started with other settings."""
        _check_settings(_UNRECORDED | state.parameters["settings"], self._settings)
        if state.learn_from is not None and self.policy.learn_from not in (None, state.learn_from):
            raise ConfigError.at(
                "policy.learn_from",
                f"is {self.policy.learn_from!r}, but this log learns from {state.learn_from!r}; "
                f"set it back, {_OR_NEW_LOG}",
            )


class LogOpening:
    """The opening of a log in two steps: it is read at the start, and written once the service can serve.

    What a log begins with holds for good, so a start that never becomes ready must write nothing.
    """

    def __init__(self, *, store: Store, learner: Learner, log: EventLog, opening: Opening) -> None:
        self._store = store
        self._learner = learner
        self._log = log
        self._opening = opening
        self._now = Fingerprints()
        self._allowed = asyncio.Event()
        self._turn = asyncio.Lock()
        #: Whether the log lacks events that this configuration needs.
        self.pending = False

    async def read(self) -> None:
        """Load the state, and check that the log agrees with the configuration.

        Raises:
            ConfigError: the log was started with other features, prior, discount, scaling or kind of
                feedback.
            CorruptLog: the log does not verify.
        """
        await self._learner.load(self._store)
        self._now = await asyncio.to_thread(self._opening.fingerprints, self._learner.state)
        self.pending = bool(self._missing(self._learner.state))

    def allow(self) -> None:
        """Let `write` go on: the generator has loaded."""
        self._allowed.set()

    async def write(self) -> None:
        """Append the events that the log lacks, when that is allowed.

        Raises:
            ConfigError: another process has begun the log with other settings meanwhile.
            StoreError: the database refused; nothing was written.
        """
        if not self.pending:
            return
        await self._allowed.wait()
        async with self._turn:
            if self.pending:
                log_changes(await self._log.submit(_Missing(self._missing)))
                self.pending = False

    def _missing(self, state: BanditState) -> list[Event]:
        return self._opening.missing(state, self._now, self._learner.newcomer_mean)


@dataclass(frozen=True)
class _Missing(Entry[tuple[Event, ...]]):
    """The events that the log lacks at the moment of writing.

    Replicas that start together see the same events missing. So each looks again while it holds the log for
    writing, after it has folded the events that the others have appended.
    """

    missing: Callable[[BanditState], list[Event]]

    async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[tuple[Event, ...]]:
        return await Events(self.missing(state)).write(log, state, now)


def _check_settings(logged: Mapping[str, Any], configured: Mapping[str, Any]) -> None:
    different = [
        name for name in sorted({**logged, **configured}) if logged.get(name) != configured.get(name)
    ]
    if different:
        lines = [
            f"{name}: is {configured.get(name)!r}, but the log was started with {logged.get(name)!r}"
            for name in different
        ]
        raise ConfigError("\n".join([*lines, f"set them back, {_OR_NEW_LOG}"]), param=different[0])
