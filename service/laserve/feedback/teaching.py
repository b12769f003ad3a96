"""The fields of a feedback event by which it teaches: its scaled rewards, and what a correction undoes."""

from typing import Any

import numpy as np

from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.scaling import Scale
from laserve.errors import Damaged
from laserve.types import Decision, Event, Update

#: Bound that no intact feature reaches: features are standardised, or parts of a vector of unit norm.
_LARGEST_FEATURE = 1e6


def reward_scale(before: Event | None, state: BanditState) -> Scale | None:
    """The scale of a decision's rewards, from the rewards learned before it; None for no scaling.

    A correction keeps the scale of the feedback that it corrects, so repeating a reward changes nothing.

    Args:
        before: the event by which the decision has taught so far.
        state: the fold of all events before the entry.
    """
    if before is not None:
        return Scale(*before.body["scale"]) if "scale" in before.body else None
    return state.rewards.scale if state.scales_rewards else None


def scale_updates(updates: tuple[Update, ...], scale: Scale | None) -> tuple[Update, ...]:
    return updates if scale is None else scale.scaled(updates)


def scale_fields(reward: float, scale: Scale | None) -> dict[str, Any]:
    """Fields of the scale and of the scaled reward; the field ``reward`` keeps the unscaled one."""
    return {} if scale is None else {"scale": [scale.low, scale.high], "scaled_reward": scale.of(reward)}


def teaching_fields(decision: Decision, before: Event | None, decisions: int) -> dict[str, Any]:
    """Fields of a decision that teaches, which the fold needs beside the updates.

    ``ordinal`` is the number of the decision among the learned ones, so that a correction has the present
    weight of its original. Losses are estimated from ``drawn`` and ``propensity``. A correction undoes the
    reward ``replaced_reward`` and the lesson ``replaced_blend`` of its original.

    Args:
        before: the event by which the decision has taught so far.
        decisions: number of decisions learned so far.
    """
    fields: dict[str, Any] = {"drawn": decision.arm, "propensity": decision.propensity}
    if before is None:
        return fields | {"ordinal": decisions + 1}
    if "drawn" in before.body:
        fields["replaced_reward"] = before.body.get("scaled_reward", before.body["reward"])
    if "blend" in before.body:
        fields["replaced_blend"] = before.body["blend"]
    if "ordinal" in before.body:  # not in events of older versions
        fields["ordinal"] = before.body["ordinal"]
    return fields


def check_context(decision: Decision) -> None:
    """Raise Damaged when a feature is NaN or too large: learning a damaged context would spoil an arm."""
    if not (np.abs(decision.x) < _LARGEST_FEATURE).all():
        raise Damaged(f"decision {decision.id!r} cannot teach: its context is damaged")
