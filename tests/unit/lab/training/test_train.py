"""A training run from rows to an adapter, on a model small enough to learn in seconds."""

import asyncio
import json
import random
from pathlib import Path

import pytest

import tiny
from laserve.errors import ConfigError
from laserve.lab.training.folder import last_checkpoint, progress_of, working_folder
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


async def test_what_is_held_out_of_files_of_one_name_is_told_apart(
    folder: Path, rows: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "rows.jsonl"
    other.parent.mkdir()
    other.write_bytes(rows.read_bytes())
    report = await run(
        data=[rows, other], out=tmp_path / "arm", cache=tmp_path, recipe=recipe(folder, rows=4)
    )
    assert list(report["held_out"]) == [f"{rows.parent.name}/rows.jsonl", "other/rows.jsonl"]
    assert report["data"] == list(report["held_out"])
    assert [held["accuracy"]["pairs"] for held in report["held_out"].values()] == [12, 12]


async def test_a_base_with_pickled_weights_is_refused(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"--base: .*pickled"):
        await run(data=[rows], out=tmp_path / "arm", cache=tmp_path, recipe=recipe(tmp_path))
    assert not (tmp_path / "arm").exists()


async def test_rows_without_a_better_answer_are_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "same.jsonl"
    path.write_text(json.dumps({"prompt": "x", "responses": ["a", "b"], "correct": [True, True]}))
    with pytest.raises(ConfigError, match=r"--data: .*no answer is better than another \(1\)"):
        await run(data=[path], out=tmp_path / "arm", cache=tmp_path, recipe=recipe(folder, hold_out=0.0))
    assert [file.name for file in tmp_path.iterdir()] == ["same.jsonl"]


async def test_rows_that_are_all_too_long_are_refused(folder: Path, rows: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--max-tokens: none of 48 rows fits into 4"):
        await run(data=[rows], out=tmp_path / "arm", cache=tmp_path, recipe=recipe(folder, max_tokens=4))
    assert not list(tmp_path.iterdir())


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
    assert not broken.exists()
    with pytest.raises(
        ConfigError, match=r"--out: .*\.broken\.training .*another recipe.*remove that folder"
    ):
        await run(data=[rows], out=broken, cache=tmp_path, recipe=recipe(folder, batch=2, rank=4))
    with caplog.at_level("INFO"):
        await run(data=[rows], out=broken, cache=tmp_path, recipe=ours)
    assert "checkpoint-20" in caplog.text
    assert (broken / "adapter_model.safetensors").read_bytes() == (
        whole / "adapter_model.safetensors"
    ).read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["broken", "whole"]


async def test_a_cancelled_run_ends_after_its_step_with_a_checkpoint(
    folder: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_step_end(*args: object, **kwargs: object) -> None:
        loop.call_soon_threadsafe(began.set)

    monkeypatch.setattr(Progress, "on_step_end", on_step_end)
    out = tmp_path / "arm"
    training = asyncio.create_task(
        run(data=[rows], out=out, cache=tmp_path, recipe=recipe(folder, epochs=1000.0))
    )
    await began.wait()
    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training
    assert not out.exists()
    last = last_checkpoint(working_folder(out))
    assert last is not None
    assert str(last) in progress_of(out)


async def test_a_run_that_fails_before_a_checkpoint_leaves_nothing(
    folder: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Progress, "on_step_end", lambda *args, **kwargs: stop_at(1, 1))
    with pytest.raises(Interrupted):
        await run(data=[rows], out=tmp_path / "arm", cache=tmp_path, recipe=recipe(folder))
    assert not list(tmp_path.iterdir())


class Interrupted(Exception):
    """Stands for a power cut."""


def stop_at(step: int, last: int) -> None:
    if step == last:
        raise Interrupted
