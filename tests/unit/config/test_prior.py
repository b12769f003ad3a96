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
        ("no json", r"policy.prior: .*file: Invalid JSON"),
        ('{"loglik": {"reward": 1.5, "n": 3}}', "policy.prior: .*loglik.reward: .*less than or equal to 1"),
        ('{"loglik": {"reward": 0.5}}', "policy.prior: .*loglik.n: Field required"),
        ('{"loglik": {"reward": 0.5, "n": -1}}', "policy.prior: .*loglik.n: .*greater than or equal to 0"),
    ],
)
def test_another_form_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "prior.json").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_prior(tmp_path / "prior.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"policy.prior: .*missing.json: No such file"):
        read_prior(tmp_path / "missing.json")
