"""What an offline evaluation is worth before the first request."""

import json
from pathlib import Path

import pytest

from laserve.config import Expected
from laserve.errors import ConfigError
from laserve.lab.reward_models.prior import Qualities, prior, write


def test_the_reward_is_the_mean_over_all_rows_and_the_count_is_bounded() -> None:
    sets = [
        Qualities(by_arm={"a": 0.2, "b": 1.0}, rows=30, sources=30),
        Qualities(by_arm={"a": 0.6, "b": 0.0}, rows=10, sources=10),
    ]
    result = prior(sets, limit=20)
    assert {arm: one.reward for arm, one in result.items()} == pytest.approx({"a": 0.3, "b": 0.75})
    assert {one.n for one in result.values()} == {20}


def test_rows_of_few_sources_count_as_few_observations() -> None:
    assert prior([Qualities(by_arm={"a": 0.5}, rows=100, sources=3)]) == {"a": Expected(reward=0.5, n=3)}


def test_an_arm_that_could_not_score_some_set_has_no_prior() -> None:
    sets = [
        Qualities(by_arm={"a": 0.5, "b": 0.5}, rows=20, sources=20),
        Qualities(by_arm={"b": 0.5}, rows=20, sources=20),
    ]
    assert list(prior(sets)) == ["b"]
    assert prior([]) == {}


def test_it_is_written_as_reward_and_count_by_arm(tmp_path: Path) -> None:
    write(tmp_path / "prior.json", {"a": Expected(reward=0.25, n=10)})
    assert json.loads((tmp_path / "prior.json").read_text()) == {"a": {"reward": 0.25, "n": 10}}


def test_a_prior_that_cannot_be_written_is_refused_by_its_option() -> None:
    with pytest.raises(ConfigError, match=r"^--prior-out: /dev/full cannot be written: No space left"):
        write(Path("/dev/full"), {"a": Expected(reward=0.25, n=10)})
