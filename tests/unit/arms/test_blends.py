"""Which arms score by themselves."""

import numpy as np
import pytest

from builders import StubModel, make_arm
from laserve.arms.arm import Arm, unavailable_arm
from laserve.arms.arms import Arms
from laserve.arms.blends import Blends
from laserve.eventlog.learner import Learner
from laserve.metrics import Metrics
from laserve.scoring.blend import Blend
from laserve.scoring.registry import COMBINING


def blends(*more: Arm) -> Blends:
    arms = [make_arm("one", StubModel()), make_arm("blend", Blend()), make_arm("two", StubModel()), *more]
    return Blends(arms=Arms(arms, metrics=Metrics()), learner=Learner(seed=0))


def test_the_kinds_that_combine_are_named_as_their_models_are() -> None:
    assert frozenset({Blend.kind}) == COMBINING


@pytest.mark.parametrize(("name", "alone"), [("one", True), ("blend", False), ("nobody", False)])
def test_an_arm_scores_alone_unless_it_combines_the_others(name: str, alone: bool) -> None:
    assert blends().scores_alone(name) is alone


@pytest.mark.parametrize(("kind", "alone"), [("loglik", True), ("blend", False)])
def test_an_arm_whose_model_is_unavailable_is_known_by_its_kind(kind: str, alone: bool) -> None:
    assert blends(unavailable_arm("gone", kind, "it is retired")).scores_alone("gone") is alone


def test_the_arms_that_score_alone_are_those_that_may_be_asked_now() -> None:
    made = blends(make_arm("loading", StubModel(), loading="loading"), unavailable_arm("gone", "loglik", ""))
    assert made.alone == ("one", "two")


def test_only_ready_arms_that_combine_have_ensembles() -> None:
    made = blends(unavailable_arm("gone", "blend", "it is retired"))
    ensembles = made.ensembles(None)
    assert list(ensembles) == ["blend"]
    scores = {"one": np.array([0.0, 1.0]), "two": np.array([5.0, 9.0])}
    assert ensembles["blend"].combine(scores).argmax() == 1
