"""Learners are made by the names and settings that the service knows."""

from pathlib import Path

import numpy as np
import pytest

from laserve.config import PolicySettings
from laserve.errors import ConfigError
from laserve.lab.replay.learners import make_learners
from laserve.lab.replay.learning import FULL, PARTIAL, replay
from laserve.lab.replay.schedule import Schedule
from replay_tables import make_table

TABLE = make_table(np.ones((4, 2)), d=3)
SETTINGS = PolicySettings(prior_structure=2.0, prior_embedding=40.0, prior_reward=0.25)


def test_each_name_is_a_learner_and_the_first_has_a_blind_twin() -> None:
    seeing, blind = make_learners(["linucb"], SETTINGS, TABLE)
    assert (seeing.name, blind.name) == ("linucb", "linucb-bias-only")
    assert seeing.features.tolist() == [0, 1, 2]
    assert blind.features.tolist() == [0]


def test_priors_are_those_of_the_settings() -> None:
    seeing, blind = make_learners(["linucb"], SETTINGS, TABLE)
    assert seeing.ridge.tolist() == [2.0, 40.0, 40.0]
    assert seeing.mean.tolist() == [0.25, 0.0, 0.0]
    assert (blind.ridge.tolist(), blind.mean.tolist()) == ([2.0], [0.25])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "--policy: no policy 'nothing'"),
        ("policy: nothing", "--policy: no policy 'policy: nothing'"),
        ("random", "'random' learns nothing"),
        ("fixed:a", "'fixed:a' learns nothing"),
        ("ensemble-mean", "'ensemble-mean' learns nothing"),
    ],
)
def test_what_is_no_learner_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_learners(["linucb", name], SETTINGS, TABLE)


def test_a_prior_of_the_settings_is_given_to_one_more_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "prior.json"
    path.write_text('{"a": {"reward": 0.9, "n": 10}}')
    made = make_learners(["linucb"], PolicySettings(prior=path, epsilon=0, epsilon_start=0, alpha=0), TABLE)
    assert [learner.name for learner in made] == ["linucb", "linucb-bias-only", "linucb:prior"]
    schedule = Schedule.make(TABLE.ids, orders=3, shadow_share=0.0, seed=0)
    assert replay(TABLE, made[-1], PARTIAL, schedule).picked[:, 0].tolist() == [0, 0, 0]


def test_every_policy_that_learns_can_be_replayed() -> None:
    names = ["linucb", "lints", "squarecb", "epsilon-greedy", "ucb1", "exp3", "classifier"]
    made = make_learners(names, SETTINGS, TABLE)
    assert [learner.name for learner in made] == [*names, "linucb-bias-only"]
    schedule = Schedule.make(TABLE.ids, orders=2, shadow_share=0.5, seed=0)
    for learner in made:
        assert replay(TABLE, learner, FULL, schedule).picked.shape == (2, 4)


def test_learners_forget_as_the_settings_say() -> None:
    learners = make_learners(["linucb"], PolicySettings(discount=0.9), TABLE)
    assert [learner.discount for learner in learners] == [0.9, 0.9]


def test_a_scaling_is_refused_since_replays_learn_rewards_as_they_are() -> None:
    with pytest.raises(ConfigError, match=r"policy\.reward_scaling"):
        make_learners(["linucb"], PolicySettings(reward_scaling="quantile"), TABLE)


def test_contexts_without_a_bias_are_refused() -> None:
    table = make_table(np.ones((4, 2)), features=("a", "b", "c"))
    with pytest.raises(ConfigError, match="first feature of its contexts is not 'bias'"):
        make_learners(["linucb"], SETTINGS, table)
