"""A learned combination of the arms over a pool."""

from collections.abc import Mapping

import numpy as np

from builders import make_pool, make_pool_question
from laserve.evaluation.pools import Pool
from laserve.evaluation.replay.combining import combine
from laserve.evaluation.replay.schedule import Schedule
from laserve.evaluation.replay.table import tabulate
from laserve.types import Vector


class BestSoFar:
    """Trusts the arm whose best answers were best on average."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.learned = 0

    def weights(self, task: str, arms: tuple[str, ...]) -> Vector:
        trusted = max(arms, key=lambda arm: self.sums.get(arm, 0.0))
        return np.array([float(arm == trusted) for arm in arms])

    def learn(self, task: str, scores: Mapping[str, Vector], qualities: Vector) -> None:
        self.learned += 1
        for arm, given in scores.items():
            self.sums[arm] = self.sums.get(arm, 0.0) + float(qualities[np.nanargmax(given)])


def pool(count: int) -> Pool:
    """Arm `b` is always right, `a` always wrong, and `c` has scores of every second question."""
    nothing = [float("nan")] * 2
    return make_pool(
        *(
            make_pool_question(
                {"a": [5.0, 1.0], "b": [0.1, 0.2], "c": [1.0, 0.0] if place % 2 else nothing}, [0.0, 1.0]
            )
            for place in range(count)
        )
    )


def test_a_combination_starts_cold_in_every_order_and_learns_from_every_request() -> None:
    made: list[BestSoFar] = []

    def make() -> BestSoFar:
        made.append(BestSoFar())
        return made[-1]

    questions, told = pool(6), []
    table = tabulate(questions)
    schedule = Schedule.make(table.ids, orders=3, shadow_share=0.0, seed=0)
    found = combine(questions, table, schedule, name="blend", make=make, advanced=lambda: told.append(1))
    assert found.rewards[:, 0].tolist() == [0.0, 0.0, 0.0], "nothing is known: the first arm"
    assert (found.rewards[:, 1:] == 1.0).all()
    assert [combiner.learned for combiner in made] == [6, 6, 6]
    assert len(told) == 6


def test_a_candidate_that_an_arm_gave_no_score_counts_as_average_for_it() -> None:
    question = make_pool_question({"a": [float("nan"), 1.0, 3.0], "b": [0.5, 0.0, 0.0]}, [1.0, 0.0, 0.5])

    class Equal:
        def weights(self, task: str, arms: tuple[str, ...]) -> Vector:
            return np.array([0.5, 2.0])

        def learn(self, task: str, scores: Mapping[str, Vector], qualities: Vector) -> None: ...

    questions = make_pool(question)
    table = tabulate(questions)
    schedule = Schedule.make(table.ids, orders=1, shadow_share=0.0, seed=0)
    assert combine(questions, table, schedule, name="blend", make=Equal).rewards.tolist() == [[1.0]]
