"""Report of the traffic that a bandit needs."""

import json
from pathlib import Path

import numpy as np
import pytest

from laserve.lab.bench.traffic.play import BLOCK, Gains
from laserve.lab.bench.traffic.run import ARMS, SPREADS, _of_worlds, row_of, run


def test_the_row_has_the_interval_over_worlds() -> None:
    row = row_of(Gains(blocks=np.array([[-0.01, 0.01], [0.0, 0.03], [0.01, 0.02]])))
    curve = row["curve"]
    assert curve["decisions"] == [BLOCK, 2 * BLOCK]
    assert curve["mean"] == pytest.approx([0, 0.02])
    # Student's t with two degrees of freedom: 4.303 times 0.01 / sqrt(3).
    assert curve["high"][0] == pytest.approx(4.3027 * 0.01 / np.sqrt(3), rel=1e-4)
    assert curve["low"][0] == pytest.approx(-curve["high"][0])
    assert row["passes"] == BLOCK


@pytest.mark.parametrize(
    ("passes", "half", "most"),
    [
        ([250, 500, 750, None], 500, None),
        ([None, None, None, 250], None, None),
        ([500, 250, 0, 1000], 250, 1000),
    ],
)
def test_a_share_of_worlds_has_passed_when_that_many_have(
    passes: list[int | None], half: int | None, most: int | None
) -> None:
    assert (_of_worlds(passes, 0.5), _of_worlds(passes, 0.9)) == (half, most)


def test_the_figures_hold_a_row_for_each_setting_and_the_picture_is_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(quick=True, seed=0, out=tmp_path / "traffic.json")
    figures = json.loads((tmp_path / "traffic.json").read_text())
    assert len(figures["rows"]) == len(ARMS) * len(SPREADS) * 2
    assert (tmp_path / "traffic.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    for row in figures["rows"]:
        assert 0 < row["gap"] < 0.2
        if row["passes"] is None:
            assert f"> {figures['decisions']:,}" in shown
