"""Files of a command: complete or absent, and refused before the work."""

import json
import os
import resource
import signal
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from laserve.cli import main
from laserve.errors import ConfigError
from laserve.lab.output import check_writable, write_bytes, write_json, written


def test_figures_are_json_in_lines_that_end(tmp_path: Path) -> None:
    write_json(tmp_path / "figures.json", {"f1": [0.5], "arm": "ü"})
    expected = '{\n "f1": [\n  0.5\n ],\n "arm": "\\u00fc"\n}\n'
    assert (tmp_path / "figures.json").read_text(encoding="utf-8") == expected


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (float("nan"), None),
        ({"a": [1.5, float("inf"), {"b": (float("-inf"), True)}]}, {"a": [1.5, None, {"b": [None, True]}]}),
        ({2: "two"}, {"2": "two"}),
    ],
)
def test_what_is_no_number_is_null(tmp_path: Path, figures: Any, expected: Any) -> None:
    write_json(tmp_path / "figures.json", figures)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads((tmp_path / "figures.json").read_text(), parse_constant=refuse) == expected


def test_a_file_that_is_not_completed_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def fail() -> None:
        with written(path, "--out") as out:
            out.write(b"half")
            assert path.read_bytes() == b"old", "the new content has no name yet"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("out.bin", b"old")]


def test_a_disk_without_room_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(ConfigError, match=r"^--out: .*out.bin cannot be written: File too large$"):
            write_bytes(tmp_path / "out.bin", bytes(5000), "--out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_has_the_usual_mode_and_a_replaced_one_keeps_its_own(tmp_path: Path) -> None:
    path, usual = tmp_path / "out.bin", tmp_path / "usual"
    usual.touch()
    write_bytes(path, b"1", "--out")
    assert path.stat().st_mode == usual.stat().st_mode
    path.chmod(0o600)
    write_bytes(path, b"2", "--out")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    link.symlink_to(target)
    write_bytes(link, b"new", "--out")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_writable(pipe)
        write_bytes(pipe, b"content", "--out")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_an_open_file_of_the_process_keeps_what_it_holds(tmp_path: Path, name: str) -> None:
    shown = tmp_path / "shown.txt"
    with shown.open("w") as out:
        out.write("a table\n")
        out.flush()
        path = Path(name.format(out.fileno()))
        if name == "link":  # as /dev/stdout is
            path = tmp_path / "link"
            path.symlink_to(f"/proc/self/fd/{out.fileno()}")
        check_writable(path)
        write_bytes(path, b"figures\n", "--json")
        out.write("more\n")
    assert shown.read_text() == "a table\nfigures\nmore\n"


REFUSED = {
    "no/figures.json": "no is no folder",
    "file/figures.json": "file is no folder",
    "folder": "Is a directory",
    "x" * 256: "File name too long",
}


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_a_path_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError) as refused:
        check_writable(tmp_path / name, "--report")
    assert refused.value.message.startswith(f"--report: {tmp_path / name} cannot be written: ")
    assert refused.value.message.endswith(reason)
    assert refused.value.param == "--report"


def test_a_check_changes_nothing_but_missing_folders(tmp_path: Path) -> None:
    check_writable(tmp_path / "one.json")
    assert list(tmp_path.iterdir()) == []
    check_writable(tmp_path / "new" / "folder" / "one.json", "--report", parents=True)
    assert list((tmp_path / "new" / "folder").iterdir()) == []


COMMANDS = [
    ("bench", "overhead", "--json"),
    ("bench", "faults", "--json"),
    ("bench", "scoring", "--json"),
    ("bench", "coverage", "--json"),
    ("bench", "bandit", "--json"),
    ("bench", "selection", "--json"),
    ("demo", "--json"),
    ("ope", "--json"),
    ("evaluate-rm", "--json"),
    ("evaluate-rm", "--prior-out"),
    ("export", "--out"),
    ("fit-context", "--out"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses_a_file_that_it_cannot_write(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "no" / "folder"
    done = CliRunner().invoke(main, [*command, str(path)])
    assert done.exit_code == 1
    assert done.stderr == f"laserve: {command[-1]}: {path} cannot be written: {path.parent} is no folder\n"
