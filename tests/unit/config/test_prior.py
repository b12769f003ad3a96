"""Reading of a prior from an offline evaluation."""

from pathlib import Path

import pytest

from laserve.config import Expected, read_prior
from laserve.errors import ConfigError
from laserve.lab.reward_models.prior import write


def test_what_evaluate_rm_writes_is_read(tmp_path: Path) -> None:
    prior = {"loglik": Expected(reward=0.25, n=10), "relevance": Expected(reward=1.0, n=0.5)}
    write(tmp_path / "prior.json", prior)
    assert read_prior(tmp_path / "prior.json") == prior


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", r"prior.json, line 1, column 1: is not JSON$"),
        ('{"loglik":\n {', r"prior.json, line 2, column 3: is not JSON$"),
        ("[]", r"prior.json: file: write a mapping \(name: ..\), not a list$"),
        ('{"loglik": 0.5}', r"loglik: write a mapping of settings \(reward: .., n: ..\), not a number$"),
        ('{"loglik": {"reward": 1.5, "n": 3}}', "loglik.reward: write a finite number from 0 to 1$"),
        ('{"loglik": {"reward": 0.5}}', "loglik.n: is missing; write a finite number from 0 to 1000000$"),
        ('{"loglik": {"reward": 0.5, "n": -1}}', "loglik.n: write a finite number from 0 to 1000000$"),
        ('{"loglik": {"reward": NaN, "n": 1}}', "loglik.reward: write a finite number from 0 to 1$"),
        ('{"loglik": {"reward": 0.5, "n": Infinity}}', "loglik.n: write a finite number from 0 to 1000000$"),
        (
            '{"loglik": {"rewards": 0.5, "reward": 0.5, "n": 1}}',
            "loglik.rewards: no such setting; did you mean loglik.reward",
        ),
    ],
)
def test_another_form_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "prior.json").write_text(text)
    with pytest.raises(ConfigError, match=f"^policy.prior: .*{said}"):
        read_prior(tmp_path / "prior.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"policy.prior: .*missing.json: No such file"):
        read_prior(tmp_path / "missing.json")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "prior.json").write_bytes(b'{"a\xff": 1}')
    with pytest.raises(ConfigError, match=r"policy.prior: .*prior.json: is not UTF-8 text"):
        read_prior(tmp_path / "prior.json")
