import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.image import imread

from laserve.cli import main
from laserve.lab.bench.bandit.run import Subject, regret_chart, slope
from laserve.lab.bench.bandit.worlds import SCENARIOS


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of one quick run, with its picture beside."""
    out = tmp_path_factory.mktemp("bench") / "bandit.json"
    done = CliRunner().invoke(
        main, ["bench", "bandit", "--quick", "--json", str(out)], catch_exceptions=False
    )
    assert done.exit_code == 0
    return out


def test_the_figures_have_their_keys(quick: Path) -> None:
    figures = json.loads(quick.read_text())
    ours = figures["choose_us"] + figures["update_us"]
    theirs = figures["mabwiser_choose_us"] + figures["mabwiser_update_us"]
    assert figures["mabwiser_ratio"] == pytest.approx(theirs / ours)
    assert figures["mabwiser_ratio"] > 5  # the target is 20 on a quiet machine; other tests may run beside
    assert [row["d"] for row in figures["growth"]] == [32, 64, 128, 256, 512]
    assert figures["growth_exponent"] < 2
    assert list(figures["scenarios"]) == list(SCENARIOS)
    assert figures.keys() >= {"seeds", "requests", "machine"}


def test_the_picture_has_a_panel_with_lines_for_every_scenario(quick: Path) -> None:
    pixels = imread(quick.with_suffix(".png"))[..., :3]
    assert pixels.shape[1] > 1000
    coloured = pixels.max(axis=2) - pixels.min(axis=2) > 0.25
    rows = np.array_split(coloured, 3)
    assert all(part.any() for row in rows for part in np.array_split(row, 3, axis=1))
    figures = json.loads(quick.read_text())
    chart = regret_chart(figures)
    assert list(chart.panels) == list(SCENARIOS)
    for scenario, panel in chart.panels.items():
        policies = figures["scenarios"][scenario]["policies"]
        assert {name: line.y[-1] for name, line in panel.lines.items()} == pytest.approx(
            {name: policy["regret"]["mean"] for name, policy in policies.items()}
        )


def test_without_mabwiser_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "mabwiser":
            raise ModuleNotFoundError("No module named 'mabwiser'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    done = CliRunner().invoke(main, ["bench", "bandit", "--quick"])
    assert done.exit_code == 1
    assert "laserve: No module named 'mabwiser'; pip install" in done.output


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5])
def test_the_exponent_of_growth_is_the_slope_of_the_logarithms(exponent: float) -> None:
    assert slope([32, 64, 512], [3.0 * d**exponent for d in (32, 64, 512)]) == pytest.approx(
        exponent, abs=1e-9
    )


def test_what_is_timed_is_a_learner_that_learns() -> None:
    subject = Subject(4)
    subject.warm_up(np.eye(4)[[0] * 16])
    choose: list[float] = []
    update: list[float] = []
    for _ in range(5):
        subject.step(np.ones(4), 1.0, choose, update)
    assert len(choose) == len(update) == 5
    assert subject.learner.state.decisions == 21
