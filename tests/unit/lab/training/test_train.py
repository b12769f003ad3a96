"""A training run from rows to an adapter, on a model small enough to learn in seconds."""

import json
import random
from pathlib import Path

import pytest

import tiny
from laserve.errors import ConfigError
from laserve.lab.training.progress import Progress
from laserve.lab.training.train import Recipe, run

COLOURS = ("red", "blue", "green", "black", "white")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.decoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers of which the one that says yes is the better: a head can learn that."""
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    lines = [
        {"prompt": f"is {rng.choice(COLOURS)} item {index} here?", "chosen": "yes it is", "rejected": "no"}
        for index in range(60)
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def recipe(folder: Path, **options: object) -> Recipe:
    return Recipe(**{"base": str(folder), "batch": 4, "learning_rate": 5e-3, "max_tokens": 512} | options)  # type: ignore[arg-type]


async def test_a_run_writes_an_adapter_that_orders_what_was_held_out(
    folder: Path, rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "arm"
    report = await run(data=[rows], out=out, cache=tmp_path, recipe=recipe(folder))
    held = report["held_out"]["rows.jsonl"]
    assert held["accuracy"]["pairs"] == 12
    assert held["accuracy"]["value"] > 0.9
    assert held["length_only"]["value"] == 1.0  # yes is the longer one
    assert report["training_groups"] == 48
    assert sorted(file.name for file in out.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "training.json",
    ]
    assert json.loads((out / "training.json").read_text())["recipe"]["rank"] == 16


async def test_only_the_last_layers_are_adapted_where_asked(folder: Path, rows: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    out = tmp_path / "arm"
    await run(data=[rows], out=out, cache=tmp_path, recipe=recipe(folder, layers=1, rows=8))
    with safe_open(out / "adapter_model.safetensors", "np") as file:
        names = list(file.keys())
    assert any("layers.1." in name for name in names)
    assert not any("layers.0." in name for name in names)
    assert any("score" in name for name in names)


async def test_a_finished_folder_is_not_written_over(folder: Path, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"--out: .*already"):
        await run(data=[rows], out=tmp_path, cache=tmp_path, recipe=recipe(folder))


async def test_another_recipe_does_not_go_on_where_one_was_interrupted(
    folder: Path, rows: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"recipe": {"rank": 99}, "data": ["rows.jsonl"]}))
    with pytest.raises(ConfigError, match=r"--out: .*another recipe"):
        await run(data=[rows], out=tmp_path, cache=tmp_path, recipe=recipe(folder))


async def test_a_base_with_pickled_weights_is_refused(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"--base: .*pickled"):
        await run(data=[rows], out=tmp_path / "arm", cache=tmp_path, recipe=recipe(tmp_path))
    assert not (tmp_path / "arm").exists()


async def test_rows_without_a_better_answer_are_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "same.jsonl"
    path.write_text(json.dumps({"prompt": "x", "responses": ["a", "b"], "correct": [True, True]}))
    with pytest.raises(ConfigError, match="--data: "):
        await run(data=[path], out=tmp_path / "arm", cache=tmp_path, recipe=recipe(folder, hold_out=0.0))


async def test_an_interrupted_run_goes_on_to_the_same_adapter(
    folder: Path,
    rows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours = recipe(folder, batch=2)  # 24 steps, a checkpoint at the twentieth
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    await run(data=[rows], out=whole, cache=tmp_path, recipe=ours)

    with monkeypatch.context() as patch:
        patch.setattr(
            Progress, "on_step_end", lambda self, args, state, *a, **k: stop_at(state.global_step, 22)
        )
        with pytest.raises(Interrupted):
            await run(data=[rows], out=broken, cache=tmp_path, recipe=ours)
    with caplog.at_level("INFO"):
        await run(data=[rows], out=broken, cache=tmp_path, recipe=ours)
    assert "checkpoint-20" in caplog.text
    assert (broken / "adapter_model.safetensors").read_bytes() == (
        whole / "adapter_model.safetensors"
    ).read_bytes()


class Interrupted(Exception):
    """Stands for a power cut."""


def stop_at(step: int, last: int) -> None:
    if step == last:
        raise Interrupted
