"""The folder of an adapter is complete or absent, and no try blocks the next one for ever."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laserve.errors import ConfigError
from laserve.lab.training.folder import (
    adapter,
    check_free,
    checkpoints,
    last_checkpoint,
    progress_of,
    working,
    working_folder,
)

RUN: dict[str, Any] = {"recipe": {"rank": 4}, "rows": "0a"}
OTHER = RUN | {"rows": "0b"}


class Stopped(Exception):
    """Stands for any end of a training ahead of time."""


def checkpoint(work: Path, step: int, state: str = "{}") -> Path:
    folder = checkpoints(work) / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(state)
    return folder


def interrupted(out: Path, *steps: int, run: dict[str, Any] = RUN) -> None:
    with pytest.raises(Stopped), working(out, run) as work:
        for step in steps:
            checkpoint(work, step)
        raise Stopped


def train(out: Path, run: dict[str, Any] = RUN) -> None:
    with working(out, run) as work:
        (adapter(work) / "training.json").write_text("{}")


@pytest.mark.parametrize("made", [False, True])
def test_the_folder_appears_whole_and_nothing_stays_beside_it(tmp_path: Path, made: bool) -> None:
    out = tmp_path / "new" / "arm"
    if made:
        out.mkdir(parents=True)
    with working(out, RUN) as work:
        checkpoint(work, 20)
        (adapter(work) / "training.json").write_text("{}")
        assert not out.exists() or not list(out.iterdir())
    assert [file.name for file in out.iterdir()] == ["training.json"]
    assert list(out.parent.iterdir()) == [out]


def test_a_failure_before_a_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    interrupted(tmp_path / "arm")
    assert not list(tmp_path.iterdir())
    assert progress_of(tmp_path / "arm") == "there is no checkpoint yet to go on from"


def test_an_equal_run_goes_on_from_the_last_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "arm"
    interrupted(out, 20, 100)
    assert not out.exists()
    with working(out, RUN) as work:
        last = last_checkpoint(work)
        adapter(work)
    assert last is not None
    assert last.name == "checkpoint-100"
    assert out.exists()


def test_another_run_is_refused_and_the_folder_to_remove_is_named(tmp_path: Path) -> None:
    out = tmp_path / "arm"
    interrupted(out, 20)
    with pytest.raises(ConfigError) as caught:
        train(out, OTHER)
    assert caught.value.message == (
        f"--out: {tmp_path}/.arm.training holds an interrupted training with another recipe or other rows; "
        "repeat its options to go on, or remove that folder"
    )
    assert last_checkpoint(working_folder(out))


@pytest.mark.parametrize("state", ["", '{"global_st'])
def test_a_checkpoint_cut_by_a_crash_is_passed_over(tmp_path: Path, state: str) -> None:
    work = working_folder(tmp_path / "arm")
    checkpoint(work, 40, state)
    (checkpoints(work) / "checkpoint-copy").mkdir()
    assert last_checkpoint(work) is None
    whole = checkpoint(work, 20)
    assert last_checkpoint(work) == whole


@pytest.mark.parametrize("marker", [json.dumps(OTHER), "", '{"recipe'])
def test_what_a_crash_leaves_before_a_checkpoint_blocks_no_other_run(tmp_path: Path, marker: str) -> None:
    out = tmp_path / "arm"
    work = working_folder(out)
    checkpoint(work, 20, state="")
    (work / "run.json").write_text(marker)
    (work / "adapter").mkdir()
    (work / "adapter" / "half").touch()
    train(out)
    assert [file.name for file in out.iterdir()] == ["training.json"]


def test_two_trainings_of_one_folder_are_not_mixed(tmp_path: Path) -> None:
    out = tmp_path / "arm"
    with working(out, RUN) as work:
        with pytest.raises(ConfigError, match=r"--out: another training of .*arm is under way"):
            train(out)
        adapter(work)
    assert out.exists()


def _file_above(out: Path) -> None:
    out.parent.touch()


def _folder_with_files(out: Path) -> None:
    out.mkdir(parents=True)
    (out / "notes.txt").touch()


def _adapter(out: Path) -> None:
    out.mkdir(parents=True)
    (out / "training.json").touch()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (_file_above, "arms is a file"),
        (_folder_with_files, "holds files already; name another folder"),
        (_adapter, "holds a trained adapter already; name another folder"),
    ],
)
def test_what_is_in_the_way_is_named_and_nothing_is_made(
    tmp_path: Path, prepare: Callable[[Path], None], words: str
) -> None:
    out = tmp_path / "arms" / "arm"
    prepare(out)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=f"--out: .*{words}"):
        check_free(out)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "arm").touch()
    with pytest.raises(ConfigError, match=r"--out: .*arm is a file"):
        check_free(tmp_path / "arm")


@pytest.mark.parametrize("out", ["/proc/arm", "/" + "x" * 300])
def test_a_folder_that_the_system_refuses_is_named(out: str) -> None:
    with pytest.raises(ConfigError, match=f"--out: {out} cannot be made"):
        check_free(Path(out))
        with working(Path(out), RUN):
            pass


def test_a_missing_parent_is_made(tmp_path: Path) -> None:
    out = tmp_path / "models" / "ours"
    check_free(out)
    assert not out.parent.exists()
    train(out)
    assert out.is_dir()
