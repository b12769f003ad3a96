"""The canonical state of the bandit, folded from the event log one event at a time.

For each arm the state is (S, b, loss, counts): S the sum of w x x', b the sum of w r x, loss the sum for
`exp3`. Only elementwise float64 operations, in log order, change the state, so that every processor reaches
equal bytes; matrix products would not (BLAS rounds differently from one CPU type to the next). Inverses are
caches in `laserve.bandit.state.linear`.

A discount gamma < 1, fixed in the log's first event, multiplies these sums of every arm before each further
decision is learned, so that decision n counts gamma^(m - n) when m decisions have been learned. A correction
subtracts the discounted original rewards and adds the new rewards with the weight of the original, as if
they had come first; it causes no discount, so repeated corrections cannot make the service forget. Powers
are computed by repeated multiplication, since `pow` differs between mathematical libraries.

A change of the generator, its template or a reward model (`laserve.bandit.state.changes`) keeps a share of
the sums of the arms concerned. Earlier decisions, and later corrections of them, count with this share from
then on.
"""

from functools import partial
from typing import get_args

import numpy as np

from laserve.bandit.state.arm_state import ArmState
from laserve.bandit.state.blending import Lesson
from laserve.bandit.state.canonical import CanonicalState
from laserve.bandit.state.changes import Change, KeptShare
from laserve.bandit.state.examples import Example
from laserve.errors import CorruptLog
from laserve.types import DEFAULT, ArmStatus, Event, Vector


class BanditState(CanonicalState):
    """The fold of the log up to `position`."""

    @property
    def prior_diagonal(self) -> Vector:
        """Ridge of each feature, shape (d,)."""
        return np.asarray(self.parameters["prior_diagonal"], dtype=np.float64)

    @property
    def discount(self) -> float:
        """Factor on the weight of a decision for each further learned decision, in (0, 1]."""
        return float(self.parameters.get("discount", 1.0))

    @property
    def scales_rewards(self) -> bool:
        """Whether rewards are scaled by their quantiles before they are learned."""
        return bool(self.parameters.get("reward_scaling", "none") == "quantile")

    def apply(self, event: Event) -> None:
        """Fold one event in.

        Raises:
            CorruptLog: the event does not follow this state, or cannot be folded in. Then the state may hold
                a part of the event and must not be used any more.
        """
        try:
            self._fold(event)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise CorruptLog(f"event {event.position} cannot be folded in: {error!r}") from error

    def _fold(self, event: Event) -> None:
        if event.position != self.position + 1:
            raise CorruptLog(f"event {event.position} follows event {self.position}")
        match event.kind:
            case "start":
                self.parameters = event.body
                self.learn_from = event.body["learn_from"]
                self.fingerprints = dict(event.body.get("fingerprints", {}))
            case "arm":
                self._add_arm(event)
            case "arm_state":
                self._set_status(event)
            case "change":
                self._apply_change(event)
            case "feedback":
                self._learn(event)
            case other:
                raise CorruptLog(f"event {event.position} has the unknown kind {other!r}")
        self.position = event.position

    def _add_arm(self, event: Event) -> None:
        """Add an arm; an arm that was in the log before keeps its sums."""
        name = event.body["name"]
        if name not in self.arms:
            prior_mean = np.asarray(event.body["prior_mean"], dtype=np.float64)
            self.arms[name] = ArmState.fresh(prior_mean, loss=self._least_loss())
            if (expected := event.body.get("expected")) is not None:
                self.arms[name].expect(expected["reward"], expected["n"])
        self.arms[name].settings = event.body.get("settings")
        self.arms[name].fingerprint = event.body.get("fingerprint", self.arms[name].fingerprint)
        self._enable(self.arms[name])

    def _set_status(self, event: Event) -> None:
        name, status = event.body["name"], event.body["state"]
        if name not in self.arms:
            raise CorruptLog(f"event {event.position} moves the unknown arm {name!r}")
        if status not in get_args(ArmStatus):
            raise CorruptLog(f"event {event.position} moves an arm into the unknown state {status!r}")
        if status == "enabled":
            self._enable(self.arms[name])
        self.arms[name].status = status

    def _apply_change(self, event: Event) -> None:
        """Note the new fingerprint; where a model was replaced, keep a share of the sums."""
        change = Change.of(event, self.decisions)
        if change.arm is None:
            self.fingerprints[change.what] = change.after
        elif change.arm in self.arms:
            self.arms[change.arm].fingerprint = change.after
        else:
            raise CorruptLog(f"event {event.position} changes the unknown arm {change.arm!r}")
        if change.replaces:
            self.changes.made.append(change)
        if change.kept < 1.0:
            self._keep(change.kept, change.arm)

    def _keep(self, kept: float, name: str | None) -> None:
        """Keep a share of the sums of one arm, or of all arms; the priors stay whole."""
        if name is None:
            for arm in self.arms.values():
                arm.decay(kept)
        else:
            self.arms[name].change_model(kept, self._least_loss(without=name))
        self.blending.decay(kept, name)
        self.examples.decay(kept)

    def _enable(self, arm: ArmState) -> None:
        """Enable an arm with at least the least loss, as a new arm, since losses of drawn arms have grown."""
        if arm.status != "enabled":
            arm.loss = max(arm.loss, self._least_loss())
        arm.status = "enabled"

    def _least_loss(self, without: str | None = None) -> float:
        losses = (a.loss for name, a in self.arms.items() if a.status == "enabled" and name != without)
        return min(losses, default=0.0)

    def _learn(self, event: Event) -> None:
        if not event.updates:
            return
        x = self._context(event)
        ordinal, loss = self._ordinal(event), _loss(event)
        age = self.decisions - ordinal if event.replaces else 0
        discounted, kept_share = _power(self.discount, age), partial(self.changes.kept_share, ordinal)
        if not event.replaces:
            self._begin_decision(event.body["played"])
        xx = np.einsum("i,j->ij", x, x)  # elementwise, and faster than multiply.outer
        for update in event.replaces:
            self.arms[update.arm].learn(x, xx, update, sign=-1, kept=discounted * kept_share((update.arm,)))
        for update in event.updates:
            self.arms[update.arm].learn(x, xx, update, sign=1, kept=discounted * kept_share((update.arm,)))
        if (drawn := event.body.get("drawn")) is not None:
            self.arms[drawn].loss += discounted * kept_share((drawn,)) * loss
        if self.scales_rewards:
            self.rewards.follow(event)
        self._learn_comparisons(event, x, kept_share)
        if event.body["kind"] != DEFAULT:
            self.learn_from = self.learn_from or event.body["kind"]

    def _learn_comparisons(self, event: Event, x: Vector, kept_share: KeptShare) -> None:
        """Learn for `blend` and `classifier` from an event about several arms."""
        for key, sign in (("replaced_blend", -1), ("blend", 1)):
            if key in event.body:
                self.blending.learn(Lesson.from_json(event.body[key]), sign, kept_share)
        # Events of older logs have no `drawn`, and their states no examples.
        if event.decision_id is not None and "drawn" in event.body:
            enabled = [name for name, arm in self.arms.items() if arm.status == "enabled"]
            self.examples.learn(event.decision_id, Example.of(x, event.updates, enabled, kept_share(None)))

    def _begin_decision(self, played: str) -> None:
        """Count one more learned decision, and discount the decisions before it."""
        if self.discount < 1.0:
            for arm in self.arms.values():
                arm.decay(self.discount)
        self.decisions += 1
        self.arms[played].pulls += 1

    def _context(self, event: Event) -> Vector:
        """The checked context of an event that teaches. Raises CorruptLog when it cannot be folded in."""
        if event.x is None:
            raise CorruptLog(f"event {event.position} teaches without a context")
        if event.x.shape != (d := len(self.parameters["prior_diagonal"]),):
            raise CorruptLog(f"event {event.position} has a context of {len(event.x)} features, not of {d}")
        played = event.body.get("played")
        taught = [update.arm for update in (*event.replaces, *event.updates)]
        for name in (*taught, played, event.body.get("drawn", played)):
            if name not in self.arms:
                raise CorruptLog(f"event {event.position} is about the unknown arm {name!r}")
        return event.x

    def _ordinal(self, event: Event) -> int:
        """Number of the event's decision among the learned ones, from 1; 0 for a decision before all changes.

        Raises:
            CorruptLog: the event has a wrong number, or none.
        """
        ordinal = event.body.get("ordinal")
        first, last = (1, self.decisions) if event.replaces else (self.decisions + 1,) * 2
        if ordinal is None and self.discount == 1.0:
            # Events of older versions have no ordinal: their logs have no discount, and changes come later.
            return 0 if event.replaces else last
        if not isinstance(ordinal, int) or not first <= ordinal <= last:
            raise CorruptLog(
                f"event {event.position} is about learned decision {ordinal}, where {first} to {last} can be"
            )
        return ordinal


def _power(discount: float, exponent: int) -> float:
    power = 1.0
    for _ in range(exponent if discount < 1.0 else 0):
        power *= discount
        if power == 0.0:
            break
    return power


def _loss(event: Event) -> float:
    """(1 - reward) / propensity of a decision; for a correction, the difference to the earlier loss.

    The reward is the learned one, scaled where the log scales rewards.

    Raises:
        CorruptLog: the propensity is missing or not above 0.
    """
    body = event.body
    if "drawn" not in body:
        return 0.0  # events of older logs have no `drawn`, and teach no losses
    propensity = body.get("propensity")
    if propensity is None or not propensity > 0:
        raise CorruptLog(f"event {event.position} was drawn with propensity {propensity}")
    before = (1.0 - body["replaced_reward"]) if "replaced_reward" in body else 0.0
    reward = body.get("scaled_reward", body["reward"])
    return float((1.0 - reward) / propensity - before / propensity)
