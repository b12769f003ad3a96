"""What an operator reads in a log file while a long command runs."""

import pytest

from laserve.lab import progress
from laserve.lab.progress import Lines


class Recorder:
    """The lines of a report, by a clock that stands still until it is moved."""

    def __init__(self, total: int | None, *, done: int = 0) -> None:
        self.now = 1000.0
        self.lines: list[str] = []
        self.report = Lines("scoring", total, done=done, write=self.lines.append, clock=lambda: self.now)

    def after(self, seconds: float, *, steps: int = 1) -> list[str]:
        """The lines of some steps that took so long."""
        self.now += seconds
        before = len(self.lines)
        self.report.advance(steps)
        return self.lines[before:]


def test_a_line_is_due_after_half_a_minute() -> None:
    recorder = Recorder(1000)
    assert recorder.after(29.9) == []
    assert recorder.after(0.1) == ["scoring: 2 of 1000 (0%), 0:00:30, about 4:09:30 left\n"]
    assert recorder.after(29.9) == []
    assert len(recorder.after(0.1)) == 1


def test_a_line_is_due_after_a_tenth() -> None:
    recorder = Recorder(100)
    assert recorder.after(2, steps=9) == []
    assert recorder.after(2) == ["scoring: 10 of 100 (10%), 0:00:04, about 0:00:36 left\n"]
    assert recorder.after(2, steps=9) == []
    assert len(recorder.after(2)) == 1


def test_what_is_over_at_once_is_one_line() -> None:
    recorder = Recorder(20)
    for _ in range(20):
        recorder.after(0.01)
    assert recorder.lines == ["scoring: 20 of 20 (100%), 0:00:00\n"]


def test_the_end_is_told_once() -> None:
    recorder = Recorder(2)
    recorder.after(60)
    assert recorder.after(1) == ["scoring: 2 of 2 (100%), 0:01:01\n"]
    assert recorder.after(60, steps=0) == []


def test_what_an_earlier_run_has_done_does_not_count_for_the_rest() -> None:
    recorder = Recorder(1000, done=900)
    assert recorder.after(60, steps=10) == ["scoring: 910 of 1000 (91%), 0:01:00, about 0:09:00 left\n"]


def test_a_total_may_come_with_the_first_step() -> None:
    recorder = Recorder(None)
    assert recorder.after(60) == []
    recorder.report.reach(2, 4)
    assert recorder.lines == ["scoring: 2 of 4 (50%), 0:01:00, about 0:01:00 left\n"]


def test_an_hour_of_small_steps_is_two_lines_a_minute() -> None:
    recorder = Recorder(100_000)
    for _ in range(3600):
        recorder.after(1)
    assert len(recorder.lines) == 120


def test_without_a_terminal_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress("scoring", 2) as report:
        report.advance(2)
    assert capsys.readouterr() == ("", "scoring: 2 of 2 (100%), 0:00:00\n")


def test_on_a_terminal_it_is_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with progress.progress("scoring") as report:
        report.reach(1, 3)
        report.advance()
    out, error = capsys.readouterr()
    assert out == ""
    assert "\r" in error
    assert "━" in error
    assert "2/3" in error
