from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import Script, make_start, make_why
from laserve.bandit.policies.base import View, noise
from laserve.bandit.policies.baselines import FixedArm, RoundRobin
from laserve.bandit.state.linear import LinearModel
from laserve.errors import CorruptLog
from laserve.eventlog.learner import Draw, Learner, fold
from laserve.storage.base import Snapshot
from laserve.storage.store import SqlStore
from laserve.types import Update, Vector

ARMS = ("a", "b", "c", "d")
X = np.array([1.0, 2.0])
IDS = [f"decision-{number}" for number in range(5_000)]
#: 99.9 % quantiles of chi-square by degrees of freedom; the ids are fixed, so that nothing here is by chance.
CHI_SQUARE = {1: 10.83, 2: 13.82, 3: 16.27}


@dataclass
class Chances:
    """A policy with the chances that a test wants."""

    chances: Sequence[float]
    name: str = "chances"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        return np.array(self.chances)


def script(lessons: int = 3) -> Script:
    made = Script(prior_diagonal=[1.0, 2.0], prior_mean=[0.5, 0.0], arms=ARMS)
    generator = np.random.default_rng(3)
    for number in range(lessons):
        update = Update(arm=ARMS[number % 4], reward=float(generator.random()))
        made.teach(f"lesson-{number}", generator.normal(size=2), [update])
    return made


def learner(*, seed: int = 0, lessons: int = 3) -> Learner:
    made = Learner(seed=seed)
    made.apply(script(lessons).events)
    return made


def first_draw(chances: dict[str, float], arm: str = "a", decision_id: str = "id") -> Draw:
    return Draw(
        decision_id=decision_id,
        seed=0,
        arm=arm,
        propensity=chances[arm],
        why=make_why(chances),
        log_position=5,
    )


def redrawn(first: Draw, failed: Sequence[str], ids: Sequence[str] = IDS) -> list[str | None]:
    """The arms in place of the failed ones, had this been the draw of each of these decisions."""
    return [replace(first, decision_id=name).without(failed) for name in ids]


def check_shares(drawn: Sequence[str | None], chances: dict[str, float]) -> None:
    expected = np.array(list(chances.values())) * len(drawn)
    observed = np.array([drawn.count(arm) for arm in chances])
    assert observed.sum() == len(drawn)
    assert float(((observed - expected) ** 2 / expected).sum()) < CHI_SQUARE[len(chances) - 1]


# draw


def test_a_draw_carries_its_propensity_and_what_the_policy_saw() -> None:
    house = learner()
    draw = house.draw(Chances([0.1, 0.2, 0.3, 0.4]), X, ARMS, "some-id")
    assert draw is not None
    assert [(why.arm, why.probability) for why in draw.why] == [
        ("a", 0.1),
        ("b", 0.2),
        ("c", 0.3),
        ("d", 0.4),
    ]
    assert draw.propensity == {why.arm: why.probability for why in draw.why}[draw.arm]
    assert draw.log_position == house.state.position == 8
    view = LinearModel(house.state)
    np.testing.assert_allclose([why.mean for why in draw.why], view.means(X, ARMS))
    np.testing.assert_allclose([why.width for why in draw.why], view.widths(X, ARMS))


def test_draws_follow_the_policy_over_many_ids() -> None:
    house, policy = learner(), Chances([0.1, 0.2, 0.3, 0.4])
    drawn = [draw.arm for name in IDS if (draw := house.draw(policy, X, ARMS, name)) is not None]
    check_shares(drawn, {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4})


def test_a_draw_is_repeatable_by_seed_and_id() -> None:
    policy = Chances([0.25] * 4)

    def arms(seed: int) -> list[str]:
        house = learner(seed=seed)
        return [draw.arm for name in IDS[:100] if (draw := house.draw(policy, X, ARMS, name)) is not None]

    assert arms(0) == arms(0)
    assert arms(0) != arms(1)


def test_there_is_no_draw_when_the_policy_can_choose_none() -> None:
    assert learner().draw(FixedArm("elsewhere"), X, ARMS, "some-id") is None


@pytest.mark.parametrize(
    ("arm", "chances", "explored"),
    [
        ("a", {"a": 0.9, "b": 0.1}, False),
        ("b", {"a": 0.9, "b": 0.1}, True),
        ("b", {"a": 0.5, "b": 0.5}, False),  # no other arm was likelier
        ("a", {"a": 1.0}, False),
    ],
)
def test_a_draw_explored_when_another_arm_was_likelier(
    arm: str, chances: dict[str, float], explored: bool
) -> None:
    assert first_draw(chances, arm).explored is explored


@pytest.mark.parametrize(("arm", "regret"), [("a", 0.5), ("b", 0.0), ("c", 0.7)])
def test_regret_is_the_best_prediction_minus_that_of_the_arm_drawn(arm: str, regret: float) -> None:
    means = {"a": 0.4, "b": 0.9, "c": 0.2}
    why = tuple(replace(w, mean=means[w.arm]) for w in make_why({"a": 0.2, "b": 0.6, "c": 0.2}))
    draw = replace(first_draw({"a": 0.2, "b": 0.6, "c": 0.2}, arm), why=why)
    assert draw.regret == pytest.approx(regret)


def test_round_robin_takes_turns_over_the_draws_of_a_process() -> None:
    house = learner()
    drawn = [house.draw(RoundRobin(), X, ARMS, name) for name in IDS[:6]]
    assert [(draw.arm, draw.propensity) for draw in drawn if draw] == [(arm, 1.0) for arm in "abcdab"]


def test_the_turns_of_round_robin_are_not_taken_by_other_policies() -> None:
    house = learner()
    arms = []
    for name in IDS[:4]:
        house.draw(FixedArm("a"), X, ARMS, name)
        draw = house.draw(RoundRobin(), X, ARMS, name)
        arms.append(draw and draw.arm)
    assert arms == ["a", "b", "c", "d"]


def test_a_draw_gives_the_policy_a_seed_of_its_own_for_each_decision_and_seed() -> None:
    class Seeds(Chances):
        def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
            seen.append(seed)
            return super().probabilities(view, x, arms, seed)

    seen: list[int] = []
    for seed in (0, 1):
        for name in ("one", "other", "one"):
            learner(seed=seed).draw(Seeds([0.25] * 4), X, ARMS, name)
    assert len(set(seen)) == 4
    assert seen[0] == seen[2] == noise(0, "one")
    assert all(0 <= seed < 2**64 for seed in seen)


# pin


def test_a_pinned_arm_has_no_propensity() -> None:
    draw = learner().pin("c", X, ARMS, "id")
    assert draw.arm == "c"
    assert draw.propensity is None
    assert {why.arm: why.probability for why in draw.why} == {"a": 0.0, "b": 0.0, "c": 1.0, "d": 0.0}


def test_a_pinned_arm_never_explored() -> None:
    assert not learner().pin("c", X, ARMS, "id").explored


# the draw without those that failed


@given(
    weights=st.lists(st.integers(0, 5), min_size=4, max_size=4).filter(any),
    failed=st.sets(st.sampled_from(ARMS), min_size=1, max_size=3),
    decision_id=st.text(),
)
def test_a_redraw_never_returns_a_failed_arm(weights: list[int], failed: set[str], decision_id: str) -> None:
    chances = dict(zip(ARMS, (weight / sum(weights) for weight in weights), strict=True))
    arm = first_draw(chances, decision_id=decision_id).without(failed)
    assert arm in set(ARMS) - failed
    # Where an arm with a chance is left, one without is not taken.
    if any(chances[other] for other in set(ARMS) - failed):
        assert chances[arm] > 0


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (["a"], {"b": 0.25, "c": 0.25, "d": 0.5}),
        (["d"], {"a": 0.6, "b": 0.2, "c": 0.2}),
        (["a", "d"], {"b": 0.5, "c": 0.5}),
        (["b", "c"], {"a": 0.6, "d": 0.4}),
    ],
)
def test_a_redraw_is_from_the_renormalised_distribution(
    failed: list[str], expected: dict[str, float]
) -> None:
    first = first_draw({"a": 3 / 7, "b": 1 / 7, "c": 1 / 7, "d": 2 / 7})
    check_shares(redrawn(first, failed), expected)


def test_a_redraw_is_uniform_when_the_others_had_no_chance() -> None:
    first = first_draw({"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0})
    check_shares(redrawn(first, ["a"]), {"b": 1 / 3, "c": 1 / 3, "d": 1 / 3})


def test_the_arm_in_place_of_a_pinned_one_is_any_other() -> None:
    first = learner().pin("c", X, ARMS, "id")
    check_shares(redrawn(first, ["c"]), {"a": 1 / 3, "b": 1 / 3, "d": 1 / 3})


def test_a_redraw_does_not_hang_on_the_first_draw() -> None:
    # Were the same number used again, a failed first arm would always be followed by the same other one.
    house, policy = learner(), Chances([0.25] * 4)
    followers = set()
    for name in IDS[:200]:
        first = house.draw(policy, X, ARMS, name)
        if first is not None and first.arm == "a":
            followers.add(first.without({"a"}))
    assert followers == {"b", "c", "d"}


def test_nothing_is_left_to_redraw_when_all_have_failed() -> None:
    assert first_draw(dict.fromkeys(ARMS, 0.25)).without(ARMS) is None


def test_a_redraw_is_repeatable() -> None:
    first = first_draw(dict.fromkeys(ARMS, 0.25))
    assert redrawn(first, ["a"], IDS[:20]) == redrawn(first, ["a"], IDS[:20])


def test_a_redraw_hangs_on_the_seed_and_the_decision_of_the_draw() -> None:
    drawn = [learner(seed=seed).draw(Chances([0.25] * 4), X, ARMS, name) for seed in (0, 7) for name in "xy"]
    assert [(each.seed, each.decision_id) for each in drawn if each] == [
        (0, "x"),
        (0, "y"),
        (7, "x"),
        (7, "y"),
    ]
    pinned = learner(seed=7).pin("c", X, ARMS, "x")
    assert (pinned.seed, pinned.decision_id) == (7, "x")
    first = first_draw(dict.fromkeys(ARMS, 0.25))
    others = [replace(first, seed=seed) for seed in range(3)]
    assert len({tuple(redrawn(other, ["a"], IDS[:20])) for other in others}) == 3


# the log


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    made = SqlStore(None)
    await made.open()
    yield made
    await made.close()


async def written(store: SqlStore, made: Script) -> None:
    async with store.writing() as log:
        for event in made.events:
            await log.append(event)


def snapshot_at(made: Script, position: int) -> Snapshot:
    house = Learner(seed=0)
    house.apply(made.events[:position])
    return house.snapshot(now=1.0)


async def test_the_state_is_the_fold_of_the_log(store: SqlStore) -> None:
    made = script(lessons=10)
    await written(store, made)
    house = Learner(seed=0)
    await house.load(store)
    assert house.state.digest() == learner(lessons=10).state.digest()


@pytest.mark.parametrize("position", [1, 5, 9, 15])
async def test_a_snapshot_and_its_tail_give_the_state_of_the_whole_log(
    store: SqlStore, position: int
) -> None:
    made = script(lessons=10)
    await written(store, made)
    await store.add_snapshot(snapshot_at(made, position))
    house = Learner(seed=0)
    await house.load(store)
    assert house.state.position == 15
    assert house.state.digest() == (await fold(store)).digest()


async def test_the_newest_snapshot_is_the_one_that_is_used(store: SqlStore) -> None:
    made = script(lessons=10)
    await written(store, made)
    for position in (9, 6, 12):
        await store.add_snapshot(snapshot_at(made, position))
    newest = await store.latest_snapshot()
    assert newest is not None
    assert newest.position == 12


async def test_a_snapshot_of_another_state_than_it_says_is_a_corrupt_log(store: SqlStore) -> None:
    made = script()
    await written(store, made)
    await store.add_snapshot(replace(snapshot_at(made, 6), digest="0" * 64))
    with pytest.raises(CorruptLog, match="snapshot at 6 does not match its digest"):
        await Learner(seed=0).load(store)


async def test_a_log_that_does_not_reach_its_snapshot_is_a_corrupt_log(store: SqlStore) -> None:
    async with store.writing() as log:
        await log.append(make_start(prior_diagonal=[1.0, 2.0]))
    await store.add_snapshot(snapshot_at(script(), 8))
    with pytest.raises(CorruptLog, match="no event 8"):
        await Learner(seed=0).load(store)


def test_a_snapshot_restores_to_the_state_that_it_was_taken_of() -> None:
    house = learner()
    taken = house.snapshot(now=12.5)
    assert (taken.position, taken.digest, taken.created_at) == (8, house.state.digest(), 12.5)
