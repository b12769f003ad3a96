"""The canonical state of the bandit: its values, their digest, and their bytes in a snapshot."""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from laserve.bandit.state.arm_state import ArmState
from laserve.bandit.state.blending import Blending
from laserve.bandit.state.changes import Changes
from laserve.bandit.state.examples import Examples
from laserve.bandit.state.scaling import RewardCounts
from laserve.errors import CorruptLog

#: Name of the tensor of the examples' contexts in a snapshot; names of arms have no blanks.
_EXAMPLES = "examples x"


@dataclass(kw_only=True)
class CanonicalState:
    """Values that the fold of the log reaches at `position`."""

    position: int = 0
    #: Number of learned decisions.
    decisions: int = 0
    #: Kind of feedback that teaches; None until the first feedback sets it. A default reward does not set it.
    learn_from: str | None = None
    #: Features and prior that the log was started with.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arms: dict[str, ArmState] = field(default_factory=dict)
    #: Sums over the arms' scores and the candidates' qualities, for `blend`.
    blending: Blending = field(default_factory=Blending)
    #: Decisions with a known reward of every arm, for `classifier`.
    examples: Examples = field(default_factory=Examples)
    #: Counts of the learned rewards, where the log scales rewards.
    rewards: RewardCounts = field(default_factory=RewardCounts)
    #: ``generator`` and ``template`` -> latest fingerprint in the log.
    fingerprints: dict[str, str] = field(default_factory=dict)
    #: Changes in the log that replace a known model or keep a share below 1.
    changes: Changes = field(default_factory=Changes)

    def fork(self) -> Self:
        """An independent copy: events folded into one do not change the other."""
        return replace(
            self,
            arms={name: arm.copy() for name, arm in self.arms.items()},
            blending=self.blending.copy(),
            examples=self.examples.copy(),
            rewards=self.rewards.copy(),
            fingerprints=dict(self.fingerprints),
            changes=self.changes.copy(),
        )

    def digest(self) -> str:
        """SHA-256, in hex, over every byte of the state and its position."""
        hasher = hashlib.sha256()
        hasher.update(json.dumps(self._header(), sort_keys=True).encode())
        for name in sorted(self.arms):
            arm = self.arms[name]
            hasher.update(struct.pack("<d", arm.reward_sum))
            for array in (arm.prior_mean, arm.S, arm.b):
                hasher.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        for example in self.examples.by_decision.values():
            hasher.update(np.ascontiguousarray(example.x, dtype="<f8").tobytes())
        return hasher.hexdigest()

    def to_bytes(self) -> bytes:
        """A snapshot as a safetensors file; `from_bytes` restores an equal state with an equal digest."""
        from safetensors.numpy import save

        tensors = {}
        for name, arm in self.arms.items():
            tensors[f"{name}/S"], tensors[f"{name}/b"] = arm.S, arm.b
            tensors[f"{name}/prior_mean"] = arm.prior_mean
            tensors[f"{name}/reward_sum"] = np.array([arm.reward_sum])
        if self.examples.by_decision:
            tensors[_EXAMPLES] = self.examples.contexts()
        return save(tensors, metadata={"header": json.dumps(self._header(), sort_keys=True)})

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
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
                    pulls=entry["pulls"],
                    updates=entry["updates"],
                    reward_sum=float(tensors[f"{name}/reward_sum"][0]),
                    status=entry.get("status", "enabled"),
                    settings=entry.get("settings"),
                    loss=entry.get("loss", 0.0),
                    fingerprint=entry.get("fingerprint"),
                )
                for name, entry in header.pop("arms").items()
            }
            blending = Blending.from_json(header.pop("blending", {}))
            fingerprints = header.pop("fingerprints", {})
            changes = Changes.from_json(header.pop("changes", []))
            examples = Examples()
            if "examples" in header:
                contexts = tensors.get(_EXAMPLES, np.zeros((0, 0)))
                examples = Examples.from_json(header.pop("examples"), contexts)
            rewards = RewardCounts(**header.pop("rewards", {}))
            return cls(
                arms=arms,
                blending=blending,
                examples=examples,
                rewards=rewards,
                fingerprints=fingerprints,
                changes=changes,
                **header,
            )
        except (SafetensorError, KeyError, TypeError, ValueError, struct.error) as error:
            raise CorruptLog(f"a snapshot cannot be read: {error}") from error

    def _header(self) -> dict[str, Any]:
        """All but the arrays, as JSON values; fields of later versions are omitted while they are empty."""
        header: dict[str, Any] = {
            "position": self.position,
            "decisions": self.decisions,
            "learn_from": self.learn_from,
            "parameters": dict(self.parameters),
            "arms": {name: arm.to_json() for name, arm in self.arms.items()},
        }
        if self.blending.tasks:
            header["blending"] = self.blending.to_json()
        if self.examples.count:
            header["examples"] = self.examples.to_json()
        if self.rewards.seen:
            header["rewards"] = vars(self.rewards)
        if self.fingerprints:
            header["fingerprints"] = self.fingerprints
        if self.changes.made:
            header["changes"] = self.changes.to_json()
        return header
