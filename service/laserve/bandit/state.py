"""The canonical state of the bandit, folded from the event log one event at a time.

Per arm it is (S, b, counts): S the sum of w x x', b the sum of w r x. Only elementwise float64 operations
touch it, in log order, so that every processor reaches the same bytes; matrix products would not (BLAS
rounds differently from one CPU type to the next). Inverses are caches elsewhere (`laserve.bandit.linear`).
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from laserve.errors import CorruptLog
from laserve.types import DEFAULT, ArmStatus, Event, Update, Vector


@dataclass(kw_only=True)
class ArmState:
    """What the log says of one arm."""

    #: Mean of the prior on theta, shape (d,).
    prior_mean: Vector
    #: Sum of w x x', shape (d, d).
    S: npt.NDArray[np.float64]
    #: Sum of w r x, shape (d,).
    b: Vector
    #: Learned decisions whose answer this arm chose.
    pulls: int = 0
    #: Rewards learned, those of answers that other arms chose included.
    updates: int = 0
    #: Sum of the rewards learned.
    reward_sum: float = 0.0
    #: Whether it may be drawn, finishes what is under way, or is put away.
    status: ArmStatus = "enabled"
    #: How to make it anew, for an arm that was added at run time.
    settings: Mapping[str, Any] | None = None

    @classmethod
    def fresh(cls, prior_mean: Vector) -> "ArmState":
        d = len(prior_mean)
        return cls(prior_mean=prior_mean, S=np.zeros((d, d)), b=np.zeros(d))

    @property
    def mean_reward(self) -> float | None:
        """Average of the rewards learned; None before the first."""
        return self.reward_sum / self.updates if self.updates else None

    def learn(self, x: Vector, update: Update, sign: Literal[1, -1]) -> None:
        """Add (or take back) one reward: S += w x x', b += w r x."""
        weight = sign * update.weight
        self.S += weight * np.multiply.outer(x, x)
        self.b += (weight * update.reward) * x
        self.updates += sign
        self.reward_sum += sign * update.reward


@dataclass(kw_only=True)
class BanditState:
    """The fold of the log up to `position`."""

    position: int = 0
    #: Learned decisions.
    decisions: int = 0
    #: Kind of feedback that teaches; None until the first one has settled it, which a default does not.
    learn_from: str | None = None
    #: Features and prior that the log was started with.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arms: dict[str, ArmState] = field(default_factory=dict)

    @property
    def prior_diagonal(self) -> Vector:
        """Ridge of each feature, shape (d,)."""
        return np.asarray(self.parameters["prior_diagonal"], dtype=np.float64)

    def apply(self, event: Event) -> None:
        """Fold one event in.

        Raises:
            CorruptLog: the event does not follow this state.
        """
        if event.position != self.position + 1:
            raise CorruptLog(f"event {event.position} follows event {self.position}")
        match event.kind:
            case "start":
                self.parameters = event.body
                self.learn_from = event.body["learn_from"]
            case "arm":
                self._join(event)
            case "arm_state":
                self._move(event)
            case "feedback":
                self._learn(event)
            case other:
                raise CorruptLog(f"event {event.position} has the unknown kind {other!r}")
        self.position = event.position

    def _join(self, event: Event) -> None:
        """An arm that was there before keeps what it has learned."""
        name = event.body["name"]
        if name not in self.arms:
            self.arms[name] = ArmState.fresh(np.asarray(event.body["prior_mean"], dtype=np.float64))
        self.arms[name].settings = event.body.get("settings")
        self.arms[name].status = "enabled"

    def _move(self, event: Event) -> None:
        name, status = event.body["name"], event.body["state"]
        if name not in self.arms:
            raise CorruptLog(f"event {event.position} moves the unknown arm {name!r}")
        if status not in get_args(ArmStatus):
            raise CorruptLog(f"event {event.position} moves an arm into the unknown state {status!r}")
        self.arms[name].status = status

    def _learn(self, event: Event) -> None:
        if not event.updates:
            return
        if event.x is None:
            raise CorruptLog(f"event {event.position} teaches without a context")
        for update in (*event.replaces, *event.updates):
            if update.arm not in self.arms:
                raise CorruptLog(f"event {event.position} teaches the unknown arm {update.arm!r}")
        played = event.body.get("played")
        if played not in self.arms:
            raise CorruptLog(f"event {event.position} was played by the unknown arm {played!r}")
        for update in event.replaces:
            self.arms[update.arm].learn(event.x, update, -1)
        for update in event.updates:
            self.arms[update.arm].learn(event.x, update, 1)
        if not event.replaces:
            self.decisions += 1
            self.arms[played].pulls += 1
        if event.body["kind"] != DEFAULT:
            self.learn_from = self.learn_from or event.body["kind"]

    def digest(self) -> str:
        """SHA-256, in hex, over every byte of the state and its position."""
        hasher = hashlib.sha256()
        hasher.update(json.dumps(self._header(), sort_keys=True).encode())
        for name in sorted(self.arms):
            arm = self.arms[name]
            hasher.update(struct.pack("<d", arm.reward_sum))
            for array in (arm.prior_mean, arm.S, arm.b):
                hasher.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return hasher.hexdigest()

    def to_bytes(self) -> bytes:
        """A safetensors file from which `from_bytes` restores the same state and digest."""
        from safetensors.numpy import save

        tensors = {}
        for name, arm in self.arms.items():
            tensors[f"{name}/S"], tensors[f"{name}/b"] = arm.S, arm.b
            tensors[f"{name}/prior_mean"] = arm.prior_mean
            tensors[f"{name}/reward_sum"] = np.array([arm.reward_sum])
        return save(tensors, metadata={"header": json.dumps(self._header(), sort_keys=True)})

    @classmethod
    def from_bytes(cls, payload: bytes) -> "BanditState":
        """Restore a snapshot. Raises CorruptLog when it is not one."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            tensors = load(payload)
            (length,) = struct.unpack("<Q", payload[:8])
            header = json.loads(json.loads(payload[8 : 8 + length])["__metadata__"]["header"])
            arms = {
                name: ArmState(
                    prior_mean=tensors[f"{name}/prior_mean"].copy(),
                    S=tensors[f"{name}/S"].copy(),
                    b=tensors[f"{name}/b"].copy(),
                    pulls=told["pulls"],
                    updates=told["updates"],
                    reward_sum=float(tensors[f"{name}/reward_sum"][0]),
                    status=told.get("status", "enabled"),
                    settings=told.get("settings"),
                )
                for name, told in header.pop("arms").items()
            }
            return cls(arms=arms, **header)
        except (SafetensorError, KeyError, TypeError, ValueError, struct.error) as error:
            raise CorruptLog(f"a snapshot cannot be read: {error}") from error

    def _header(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "decisions": self.decisions,
            "learn_from": self.learn_from,
            "parameters": dict(self.parameters),
            "arms": {name: _told(arm) for name, arm in self.arms.items()},
        }


def _told(arm: ArmState) -> dict[str, Any]:
    """What the header says of an arm; states of logs without arm changes keep their digest."""
    told: dict[str, Any] = {"pulls": arm.pulls, "updates": arm.updates}
    if arm.status != "enabled":
        told["status"] = arm.status
    if arm.settings is not None:
        told["settings"] = dict(arm.settings)
    return told
