from dataclasses import replace

import numpy as np
import pytest

from builders import make_exploration
from laserve.bandit.policies.baselines import FixedArm, RandomArm
from laserve.bandit.policies.linucb import LinUCB
from laserve.lab.bench.bandit.play import Player, play, players, robustness
from laserve.lab.bench.bandit.worlds import ARMS, SCENARIOS, D, best_means, present

ROUNDS = 400


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_world_is_whole_and_the_same_for_the_same_seed(name: str) -> None:
    world, again, other = (SCENARIOS[name](random(seed), ROUNDS) for seed in (1, 1, 2))
    assert world.x.shape == (ROUNDS, D)
    assert (world.x[:, 0] == 1).all()
    for each in (world.mean, world.feedback):
        assert each.shape == (ROUNDS, len(ARMS))
        assert ((each >= 0) & (each <= 1)).all()
    assert world.has_feedback.shape == (ROUNDS, len(ARMS))
    assert world.delay.shape == (ROUNDS,)
    assert (world.delay >= 0).all()
    assert world.available_from.shape == (len(ARMS),)
    assert present(world).any(axis=1).all()
    np.testing.assert_array_equal(world.feedback, again.feedback)
    assert (world.feedback != other.feedback).any()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_says_what_it_is(name: str) -> None:
    assert SCENARIOS[name].__doc__
    assert "\n" not in SCENARIOS[name].__doc__


@pytest.mark.parametrize("name", ["stationary", "drifting", "cold-start", "noisy-arm", "late-arm"])
def test_what_is_said_is_right_on_average(name: str) -> None:
    world = SCENARIOS[name](random(), 4000)
    assert world.feedback.mean(axis=0) == pytest.approx(world.mean.mean(axis=0), abs=0.03)


def test_a_drift_turns_what_was_good_into_what_is_bad() -> None:
    world = SCENARIOS["drifting"](random(), 4000)
    first, last = (
        np.corrcoef(world.x[part, 2], world.mean[part, 0])[0, 1] for part in (slice(400), slice(-400, None))
    )
    assert np.sign(first) == -np.sign(last)


def test_in_a_cold_start_a_new_task_begins_in_the_middle() -> None:
    world = SCENARIOS["cold-start"](random(), ROUNDS)
    assert not world.x[: ROUNDS // 2, 1].any()
    assert 0.3 < world.x[ROUNDS // 2 :, 1].mean() < 0.7


def test_sparse_feedback_is_rare_and_censored_feedback_prefers_the_bad() -> None:
    assert SCENARIOS["sparse"](random(), 4000).has_feedback.mean() == pytest.approx(0.1, abs=0.02)
    world = SCENARIOS["censored"](random(), 4000)
    bad = world.feedback < 0.5
    assert world.has_feedback[bad].mean() == pytest.approx(0.6, abs=0.03)
    assert world.has_feedback[~bad].mean() == pytest.approx(0.2, abs=0.03)


def test_poison_praises_the_worst_arm_and_damns_the_others() -> None:
    world = SCENARIOS["poisoned"](random(), 4000)
    worst = int(world.mean.mean(axis=0).argmin())
    gain = (world.feedback - world.mean).mean(axis=0)
    assert gain[worst] > 0.02
    assert (np.delete(gain, worst) < -0.02).all()


def test_a_noisy_arm_gives_all_or_nothing() -> None:
    assert set(np.unique(SCENARIOS["noisy-arm"](random(), ROUNDS).feedback[:, 0])) == {0.0, 1.0}


def test_a_late_arm_is_the_best_on_average_and_not_there_before_the_middle() -> None:
    world = SCENARIOS["late-arm"](random(), ROUNDS)
    assert present(world).sum(axis=1).tolist() == [3] * (ROUNDS // 2) + [4] * (ROUNDS // 2)
    assert world.mean.mean(axis=0).argmax() == 3
    assert (best_means(world)[: ROUNDS // 2] == world.mean[: ROUNDS // 2, :3].max(axis=1)).all()


@pytest.mark.parametrize("name", SCENARIOS)
def test_regret_is_what_the_best_arm_there_would_have_earned_more(name: str) -> None:
    world = SCENARIOS[name](random(), 60)
    regret = play(Player(name="one", policy=FixedArm("arm-1")), world)
    np.testing.assert_allclose(regret, best_means(world) - world.mean[:, 1])


def test_a_policy_that_learns_gives_less_away_than_one_that_draws_at_random() -> None:
    world = SCENARIOS["stationary"](random(), ROUNDS)
    learned = play(Player(name="linucb", policy=LinUCB(alpha=1.0, exploration=make_exploration(0.02))), world)
    drawn = play(Player(name="random", policy=RandomArm()), world)
    assert learned.sum() < 0.5 * drawn.sum()


@pytest.mark.parametrize(("rounds", "same"), [(49, True), (200, False)])
def test_feedback_teaches_when_it_comes(rounds: int, same: bool) -> None:
    greedy = next(player for player in players() if player.name == "epsilon-greedy")
    world = SCENARIOS["delayed"](random(), rounds)
    mute = replace(world, has_feedback=np.zeros_like(world.has_feedback))
    assert (play(greedy, world) == play(greedy, mute)).all() == same  # the first comes after 50 requests


def test_the_figures_of_all_scenarios_have_a_mean_within_their_band() -> None:
    done: list[None] = []
    result = robustness(seeds=2, rounds=30, progress=lambda: done.append(None))
    assert list(result) == list(SCENARIOS)
    names = [player.name for player in players()]
    assert len(done) == len(SCENARIOS) * 2 * len(names)
    for scenario in result.values():
        assert list(scenario["policies"]) == [*names, "random"]
        for figures in scenario["policies"].values():
            regret, curve = figures["regret"], figures["curve"]
            assert 0 <= regret["low"] <= regret["mean"] <= regret["high"]
            assert curve["requests"][0] == 1
            assert curve["requests"][-1] == 30
            assert curve["mean"] == sorted(curve["mean"])
            assert curve["mean"][-1] == regret["mean"]
            assert len(curve["low"]) == len(curve["high"]) == len(curve["mean"]) == len(curve["requests"])
