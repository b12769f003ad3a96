"""The simulation behind `laserve bench coverage`: true values are true, and its LinUCB is laserve's."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from builders import Script, make_exploration
from laserve.bandit.offpolicy.estimators import CannotSay, Estimate
from laserve.bandit.policies.linucb import LinUCB
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.cli import main
from laserve.lab.bench.coverage.policies import ALPHA, EPSILON, Learners, draw
from laserve.lab.bench.coverage.run import Judged, figures_of
from laserve.lab.bench.coverage.world import ARMS, RANDOM, World
from laserve.types import Update


def test_the_learners_choose_and_learn_as_the_service_s_linucb() -> None:
    generator = np.random.default_rng(1)
    x, rewards = generator.normal(size=(2, 60, 3)), generator.random((2, 60, 4))
    learners = Learners(logs=2, arms=4, features=3)
    chances, drawn = learners.play(x, rewards, generator)
    policy = LinUCB(alpha=ALPHA, exploration=make_exploration(EPSILON))
    script = Script(prior_diagonal=[1.0] * 3, prior_mean=[0.5, 0.0, 0.0], arms=ARMS)
    model = LinearModel(BanditState())
    for event in script.events:
        model.apply(event)
    for row in range(60):
        expected = policy.probabilities(model, x[0, row], ARMS, 0)
        np.testing.assert_allclose(chances[0, row], expected)
        arm = drawn[0, row]
        model.apply(script.teach(str(row), x[0, row], [Update(arm=ARMS[arm], reward=rewards[0, row, arm])]))
    new = generator.normal(size=(5, 3))
    frozen = learners.frozen(0.02)(new)
    policy = LinUCB(alpha=ALPHA, exploration=make_exploration(0.02))
    np.testing.assert_allclose(frozen, [policy.probabilities(model, row, ARMS, 0) for row in new])


def test_arms_are_drawn_by_their_chances() -> None:
    chances = np.tile([0.25, 0.0, 0.75], (5, 1))
    u = np.array([0.0, 0.2499, 0.25, 0.9, np.nextafter(1.0, 0.0)])
    assert draw(chances, u).tolist() == [0, 0, 2, 2, 2]


def test_the_true_value_is_what_the_policy_earns_on_average() -> None:
    world = World(np.random.default_rng(2))
    policy = world.learned(500, epsilon=0.02)
    requests = world.requests(200, 100)
    earned = (policy(requests.x) * world.earned(requests)).sum(axis=-1).mean(axis=1)
    assert world.value(policy) == pytest.approx(earned.mean(), abs=5 * earned.std() / np.sqrt(200))
    assert world.value(policy) > world.value(RANDOM) + 0.02


def test_a_learning_log_is_in_the_words_of_the_service() -> None:
    world = World(np.random.default_rng(3))
    logs = list(world.logs("learning", 3, 200, RANDOM))
    assert len(logs) == 3
    for log, target in logs:
        assert target.tolist() == [[0.25] * 4] * 200
        assert 0.1 < log.shadowed.mean() < 0.4
        assert ((log.winners >= 0).sum(axis=1) == np.where(log.shadowed, 4, 1)).all()


def test_figures_leave_out_what_was_refused() -> None:
    held = Estimate(value=0.5, low=0.4, high=0.6, effective_sample=200, decisions=400, clusters=50)
    missed = Estimate(value=0.3, low=0.2, high=0.35, effective_sample=300, decisions=400, clusters=50)
    refused = CannotSay(effective_sample=10, decisions=400, clusters=50, more_decisions=5600)
    cell = [
        Judged(kind="uniform", estimator="ips", outcome=outcome, truth=0.45)
        for outcome in (held, missed, refused, refused)
    ]
    assert figures_of(cell) == {
        "logs": 4,
        "refused": 0.5,
        "coverage": 0.5,
        "mean_width": pytest.approx(0.175),
        "mean_error": pytest.approx(-0.05),
        "mean_effective_sample": 250,
    }
    assert figures_of(cell[2:])["coverage"] is None


def test_the_command_prints_a_table_and_writes_the_figures(tmp_path: Path) -> None:
    out = tmp_path / "coverage.json"
    done = CliRunner().invoke(main, ["bench", "coverage", "--logs", "2", "--seed", "1", "--json", str(out)])
    assert done.exit_code == 0, done.output
    for word in ("uniform", "frozen", "learning", "ips", "snips", "dr", "coverage"):
        assert word in done.output
    figures = json.loads(out.read_text())
    assert [(row["log"], row["estimator"], row["logs"]) for row in figures["rows"]] == [
        (log, name, 2) for log in ("uniform", "frozen", "learning") for name in ("ips", "snips", "dr")
    ]
    assert figures["seed"] == 1
