"""Tables as a reader sees them: on a terminal, in a pipe, in a narrow window."""

import io
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.lab.output import Cell, Table, show

SMALL = Table(
    title="Scores",
    columns=("arm", "mean", "n"),
    rows=[("loglik", "0.5", "12"), (Cell(text="long-name"), Cell(text="+10.25", tone="up"), "3")],
    notes=("two rows",),
)
WIDE = Table(
    title="Regret",
    columns=("scenario", *(f"policy number {number}" for number in range(12))),
    rows=[(name, *(f"{number}.50" for number in range(12))) for name in ("stationary", "drifting")],
)


class Terminal(io.StringIO):
    """A standard output that is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> "Printed":
    return Printed(capsys)


class Printed:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *parts: Table | str) -> str:
        show(*parts)
        return self._capsys.readouterr().out


def words(text: str) -> list[str]:
    return re.findall(r"\S+", text)


def test_a_table_in_a_pipe_is_plain_text_with_numbers_aligned_right(printed: Printed) -> None:
    assert printed(SMALL, "a line") == (
        "Scores\n"
        "arm          mean   n\n"
        "---------------------\n"
        "loglik        0.5  12\n"
        "long-name  +10.25   3\n"
        "two rows\n"
        "\n"
        "a line\n"
    )


def test_a_wide_table_is_folded_into_groups_of_columns_that_repeat_the_names(printed: Printed) -> None:
    text = printed(WIDE)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    for number in range(12):
        assert words(text).count(f"{number}.50") == 2
    groups = text.split("\n\n")
    assert len(groups) > 1
    for group in groups:
        assert words(group).count("stationary") == words(group).count("drifting") == 1
        assert "scenario" in group


@given(
    rows=st.lists(
        st.lists(st.text(st.sampled_from("ab [漢…é"), max_size=90), min_size=7, max_size=7), max_size=4
    ),
    names=st.integers(0, 2),
    texts=st.booleans(),
)
def test_no_table_is_cut_or_wider_than_80_columns(rows: list[list[str]], names: int, texts: bool) -> None:
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        show(Table(columns=("x",) * 7, rows=rows, names=names, texts=texts))
    from rich.cells import cell_len

    text = out.getvalue()
    assert all(cell_len(line) <= 80 for line in text.splitlines())
    for sign in "ab[漢…é":
        wanted = sum(cell.count(sign) for row in rows for cell in row)
        assert text.count(sign) >= wanted


def test_texts_are_wrapped_between_words(printed: Printed) -> None:
    sentence = "the first learner gains over the best single arm in the last third of all requests"
    text = printed(Table(columns=("", "criterion", "result"), rows=[("(a)", sentence, sentence)], texts=True))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert sorted(words(text)) == sorted(
        [*words(sentence) * 2, "(a)", "criterion", "result", *re.findall(r"-{10,}", text)]
    )


def test_a_table_without_titles_of_columns_has_no_head(printed: Printed) -> None:
    assert printed(Table(columns=("", ""), rows=[("made by", "laserve")], texts=True)) == "made by  laserve\n"


def test_names_are_printed_as_they_are_and_cannot_move_the_cursor(printed: Printed) -> None:
    table = Table(title="[bold]x[/]", columns=("[red]", ":smile:"), rows=[("a\x1b[2Jb\nc", "[/nothing]")])
    text = printed(table, "[link=x]y")
    for part in ("[bold]x[/]", "[red]", ":smile:", "a\\x1b[2Jb\\nc", "[/nothing]", "[link=x]y"):
        assert part in text


def test_a_terminal_has_colours_and_a_table_of_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    for name, value in {"COLUMNS": "50", "TERM": "xterm", "NO_COLOR": ""}.items():
        monkeypatch.setenv(name, value)
    show(SMALL, WIDE, "several words " * 9)
    text = terminal.getvalue()
    assert "\x1b[32m+10.25" in text
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert all(len(line) <= 50 for line in lines)
    assert words("\n".join(lines)).count("11.50") == 2


def test_what_the_encoding_of_a_pipe_lacks_is_written_as_its_code() -> None:
    done = run("show(Table(title='Größe', columns=('漢', '…'), rows=[('é', '1')]), 'ü')", encoding="ascii")
    assert done.returncode == 0
    assert "Gr\\xf6\\xdfe" in done.stdout
    assert "\\u6f22" in done.stdout
    assert "\\xfc" in done.stdout


def test_a_closed_pipe_ends_the_output_and_not_the_command() -> None:
    read, write = os.pipe()
    os.close(read)
    code = "show(Table(columns=('a',), rows=[('b' * 100,)] * 5000)); show('more'); sys.stderr.write('done')"
    try:
        done = run(code, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "done")


def run(
    code: str, *, stdout: int = subprocess.PIPE, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom laserve.lab.output import Table, show\n{code}"],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        text=True,
        check=False,
        timeout=60,
    )
