"""What an arm would have returned, on answers of known quality."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from builders import make_row
from laserve.cli import main
from laserve.config import load
from laserve.errors import ConfigError
from laserve.lab.reward_models.evaluate import _picked, run


@pytest.mark.parametrize(
    ("scores", "quality"),
    [([0.1, 0.9], 0.0), ([0.5, 0.5], 0.5), ([float("nan"), 0.1], 0.0), ([0.2, float("nan")], 1.0)],
)
def test_a_tie_is_not_broken_by_the_order_of_the_rows(scores: list[float], quality: float) -> None:
    assert _picked(make_row(1.0, 0.0), np.array(scores)) == quality


async def test_a_file_of_which_nothing_is_held_out_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"prompt": "who?", "chosen": "Ada", "rejected": "nobody"}))
    with pytest.raises(ConfigError, match="--hold-out 1"):
        await run(load(profile="fake"), data=[file], hold_out=0.2, rows=None, out=None)


# preferences, right and wrong answers, and the prior

PREFERENCES = [
    {
        "prompt": f"who built clock {index}?",
        "response_1": f"Ada {index}",
        "response_2": "nobody at all",
        "winner": ("model_a", "model_b", "tie")[index % 3],
        "model_a": "abc"[index % 3],
        "model_b": "abc"[(index + 1) % 3],
        "hard_prompt": index % 2 == 0,
    }
    for index in range(24)
]
CORRECTNESS = [
    {
        "prompt": f"{index} + 1?",
        "responses": [str(index + 1), "7", "no"],
        "correct": [1, 0, 0],
        "domain": domain,
    }
    for index, domain in enumerate(["math", "code", "chat"] * 2)
]


def lines(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


async def test_all_kinds_of_rows_are_told_by_arm_and_domain_and_make_a_prior(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(
        load(profile="fake"),
        preferences=[lines(tmp_path, "people.jsonl", PREFERENCES)],
        correctness=[lines(tmp_path, "right.jsonl", CORRECTNESS)],
        hold_out=1,
        rows=None,
        out=tmp_path / "figures.json",
        prior_out=tmp_path / "prior.json",
        prior_n=4,
    )
    figures = json.loads((tmp_path / "figures.json").read_text())
    people, right = figures["preferences"], figures["correctness"]
    assert people["arms"].keys() == right["arms"].keys() == {"consensus", "relevance", "longest answer"}
    assert people["unscored"] == {"loglik": 24}
    assert people["arms"]["consensus"]["domains"].keys() == {"hard_prompt"}
    assert people["arms"]["longest answer"]["overall"]["ties"] == 8
    assert right["arms"]["relevance"]["worst"]["end"]["domain"] in {"math", "code", "chat"}
    end = right["arms"]["relevance"]["overall"]["end"]["value"]
    prior = json.loads((tmp_path / "prior.json").read_text())
    assert prior.keys() == {"consensus", "relevance"}
    assert prior["relevance"] == {"reward": end, "n": 4}
    assert "loglik: 24 rows not scored" in capsys.readouterr().out


async def test_the_prior_of_our_rows_is_the_quality_of_each_arm_s_best_answer(tmp_path: Path) -> None:
    rows = [{"prompt": row["prompt"], "chosen": row["response_1"], "rejected": "no"} for row in PREFERENCES]
    await run(
        load(profile="fake"),
        data=[lines(tmp_path, "rows.jsonl", rows)],
        hold_out=0.5,
        rows=None,
        out=tmp_path / "figures.json",
        prior_out=tmp_path / "prior.json",
    )
    figures = json.loads((tmp_path / "figures.json").read_text())["rows.jsonl"]
    prior = json.loads((tmp_path / "prior.json").read_text())
    assert figures["sources"] == 12
    assert prior["consensus"] == {"reward": figures["best_of"]["consensus"]["value"], "n": 10}


async def test_files_are_told_together_as_if_they_were_one(tmp_path: Path) -> None:
    rows = [{"prompt": row["prompt"], "chosen": row["response_1"], "rejected": "no"} for row in PREFERENCES]
    parts = [lines(tmp_path, "a.jsonl", rows[:10]), lines(tmp_path, "b.jsonl", rows[10:])]
    whole = [lines(tmp_path, "whole.jsonl", rows)]
    out = tmp_path / "figures.json"
    await run(load(profile="fake"), data=parts, together=True, hold_out=1, rows=None, out=out)
    together = json.loads(out.read_text())
    await run(load(profile="fake"), data=whole, together=True, hold_out=1, rows=None, out=out)
    alone = json.loads(out.read_text())
    assert together["together"] == alone["whole.jsonl"]
    assert together["a.jsonl"]["groups"] == 10
    assert alone.keys() == {"whole.jsonl"}


async def test_preferences_alone_make_no_prior(tmp_path: Path) -> None:
    path = lines(tmp_path, "people.jsonl", PREFERENCES)
    with pytest.raises(ConfigError, match="--prior-out"):
        await run(
            load(profile="fake"),
            preferences=[path],
            hold_out=1,
            rows=None,
            out=None,
            prior_out=tmp_path / "prior.json",
        )


async def test_where_no_arm_scored_every_row_there_is_no_prior(tmp_path: Path) -> None:
    config = tmp_path / "arms.yaml"
    config.write_text("arms: [{name: loglik, kind: loglik}]")
    path = lines(tmp_path, "right.jsonl", CORRECTNESS)
    with pytest.raises(ConfigError, match="no arm scored every row"):
        await run(
            load(config=config, profile="fake"),
            correctness=[path],
            hold_out=1,
            rows=None,
            out=None,
            prior_out=tmp_path / "prior.json",
        )
    assert not (tmp_path / "prior.json").exists()


def test_the_command_wants_rows_of_some_kind() -> None:
    shown = CliRunner().invoke(main, ["evaluate-rm", "--profile", "fake"])
    assert shown.exit_code == 2
    assert "give --data, --preferences or --correctness" in shown.output
