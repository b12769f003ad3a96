"""Both forms of a reward model, as the service sees them."""

from collections.abc import Sequence
from typing import Any

import pytest

from builders import make_candidates, make_request
from laserve.scoring import base
from laserve.scoring.plain import PlainModel, as_reward_model, missing_members
from laserve.types import Candidate, Request

CANDIDATES = make_candidates("a", "b")


class Plain:
    """Remembers which request objects it was asked about."""

    kind, free, needs_all = "plain", False, True

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.loaded, self.closed = 0, 0

    async def load(self) -> None:
        self.loaded += 1

    async def close(self) -> None:
        self.closed += 1

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
        self.requests.append(request)
        return [float(len(candidates))] * len(candidates)


class Ahead(Plain):
    """Reads ahead, and cuts what it has read."""

    async def prefill(self, request: Request) -> None:
        self.requests.append(request)

    def truncated(self, request: Request) -> bool:
        return any(each is request for each in self.requests)


class Opens:
    """Has readings of its own, and a member `score` that is none of a scorer's."""

    kind, free, needs_all, reads_ahead, score = "opens", False, False, True, None

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    def open(self, request: Request) -> Any: ...


async def test_a_plain_model_is_what_its_scorer_is() -> None:
    scorer = Plain()
    model = as_reward_model(scorer)
    assert isinstance(model, PlainModel)
    assert (model.kind, model.free, model.needs_all, model.reads_ahead) == ("plain", False, True, False)
    await model.load()
    await model.close()
    assert (scorer.loaded, scorer.closed) == (1, 1)


async def test_a_plain_reading_has_nothing_to_read_and_asks_for_scores() -> None:
    scorer, request = Plain(), make_request()
    reading = as_reward_model(scorer).open(request)
    await reading.prefill()
    assert scorer.requests == []
    assert await reading.score(CANDIDATES) == [2.0, 2.0]
    assert not reading.truncated
    reading.close()


async def test_a_scorer_that_reads_ahead_gets_one_request_object_for_a_reading() -> None:
    scorer, request = Ahead(), make_request()
    model = as_reward_model(scorer)
    assert model.reads_ahead
    reading = model.open(request)
    assert not reading.truncated
    await reading.prefill()
    await reading.score(CANDIDATES)
    assert [each is request for each in scorer.requests] == [True, True]
    assert reading.truncated
    assert not model.open(make_request()).truncated


def test_a_model_with_readings_of_its_own_is_left_as_it_is() -> None:
    model = Opens()
    assert as_reward_model(model) is model
    assert missing_members(model) == []


def test_a_scorer_whose_open_means_something_else_stays_a_scorer() -> None:
    class Files(Plain):
        def open(self, path: str) -> None: ...

    assert isinstance(as_reward_model(Files()), PlainModel)
    assert missing_members(Files()) == []


@pytest.mark.parametrize("name", ["RewardModel", "Prefilling"])
def test_the_protocols_that_plugins_import_are_where_they_were(name: str) -> None:
    assert hasattr(base, name)
