"""What an arm would have returned, on answers of known quality."""

import json
from pathlib import Path

import numpy as np
import pytest

from builders import make_request
from laserve.config import load
from laserve.errors import ConfigError
from laserve.evaluation.reward_models import _picked, run
from laserve.evaluation.rows import Group


def group(*rewards: float) -> Group:
    texts = tuple(f"answer {place}" for place in range(len(rewards)))
    return Group(id="1", request=make_request(), texts=texts, rewards=rewards, source="1")


@pytest.mark.parametrize(
    ("scores", "quality"),
    [([0.1, 0.9], 0.0), ([0.5, 0.5], 0.5), ([float("nan"), 0.1], 0.0), ([0.2, float("nan")], 1.0)],
)
def test_a_tie_is_not_broken_by_the_order_of_the_rows(scores: list[float], quality: float) -> None:
    assert _picked(group(1.0, 0.0), np.array(scores)) == quality


async def test_a_file_of_which_nothing_is_held_out_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"prompt": "who?", "chosen": "Ada", "rejected": "nobody"}))
    with pytest.raises(ConfigError, match="--hold-out 1"):
        await run(load(profile="fake"), data=[file], hold_out=0.2, rows=None, out=None)
