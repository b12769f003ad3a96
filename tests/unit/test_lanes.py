"""Every test is in one lane, and a run of all lanes fails with each of them."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import lanes
from lanes import (
    ENGINE,
    GROUPS,
    IMAGE,
    LANES,
    NAMED,
    PARALLEL,
    SERVER,
    TESTS,
    TIMED,
    Lane,
    Run,
    lane_of,
    split,
)


@dataclass(frozen=True)
class Mark:
    name: str


@dataclass(frozen=True)
class Item:
    """A collected test, as far as lanes look at it."""

    path: Path
    marks: tuple[Mark, ...] = ()
    fixturenames: tuple[str, ...] = ()
    nodeid: str = "the test"

    def iter_markers(self) -> tuple[Mark, ...]:
        return self.marks


@pytest.mark.parametrize(
    ("folder", "marks", "lane"),
    [
        ("unit", set(), PARALLEL),
        ("contract", {"asyncio"}, PARALLEL),
        ("contract", {"engine", "asyncio"}, ENGINE),
        ("acceptance", {"parametrize"}, SERVER),
        ("acceptance", {"engine"}, ENGINE),
        ("integration", set(), SERVER),
        ("integration", {"timed"}, TIMED),
        ("integration", {"image"}, IMAGE),
        ("docs", set(), PARALLEL),
    ],
)
def test_folder_and_marks_choose_the_lane(folder: str, marks: set[str], lane: Lane) -> None:
    assert lane_of(folder, marks) is lane


@pytest.mark.parametrize(
    ("folder", "marks"),
    [("elsewhere", set()), ("integration", {"engine", "timed"}), ("unit", {"engine"}), ("unit", {"timed"})],
)
def test_a_test_in_no_lane_or_in_two_is_refused(folder: str, marks: set[str]) -> None:
    with pytest.raises(ValueError, match=folder):
        lane_of(folder, marks)


def test_every_test_of_this_session_is_in_one_lane(request: pytest.FixtureRequest) -> None:
    items = request.session.items
    assert sorted(item.nodeid for lane in split(items).values() for item in lane) == sorted(
        item.nodeid for item in items
    )


@pytest.mark.parametrize("fixture", sorted(lanes.ENGINES))
def test_a_test_that_starts_an_engine_must_be_marked(fixture: str) -> None:
    unmarked = Item(TESTS / "acceptance" / "test_a.py", fixturenames=("main", fixture))
    with pytest.raises(ValueError, match="the test starts an engine"):
        split([unmarked])
    marked = Item(unmarked.path, (Mark("engine"),), unmarked.fixturenames)
    assert split([marked])["engine"] == [marked]


def test_every_lane_runs_once_and_every_folder_of_tests_is_in_one() -> None:
    assert sorted(lane.name for group in (*GROUPS, *NAMED) for lane in group) == sorted(LANES)
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    assert folders == {folder for lane in LANES.values() for folder in lane.folders}


def test_the_lane_that_installs_everything_anew_runs_when_it_is_named() -> None:
    assert NAMED == ((IMAGE,),)
    assert IMAGE not in {lane for group in GROUPS for lane in group}


def test_the_budgets_of_all_lanes_are_twenty_minutes() -> None:
    assert sum(max(lane.budget_min for lane in group) for group in GROUPS) == 20


@pytest.mark.parametrize(
    ("status", "minutes", "ci", "problems"),
    [
        (0, 1.0, "true", []),
        (1, 1.0, "", ["lane server failed with status 1"]),
        (-9, 1.0, "", ["lane server failed with status -9"]),
        (0, 1000.0, "", []),
        (0, 1000.0, "true", ["lane server took longer than its budget"]),
    ],
)
def test_a_failed_lane_fails_all_and_in_ci_so_does_one_over_its_budget(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int, minutes: float, ci: str, problems: list[str]
) -> None:
    monkeypatch.setattr(lanes, "RESULTS", tmp_path)
    monkeypatch.setenv("CI", ci)
    assert ended(status, minutes=minutes).problems() == problems


REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_quick" time="0.5"/>
<testcase classname="tests.test_a" name="test_slow" time="2.5"><failure/></testcase>
<testcase classname="tests.test_a" name="test_broken" time="1.0"><error/></testcase>
</testsuite></testsuites>"""


def test_the_tests_of_a_lane_are_told_by_their_seconds_and_those_that_failed_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lanes, "RESULTS", tmp_path)
    (tmp_path / "server.xml").write_text(REPORT)
    run = ended(1)
    assert [(test.name.rpartition("_")[2], test.seconds) for test in run.tests()] == [
        ("slow", 2.5),
        ("broken", 1.0),
        ("quick", 0.5),
    ]
    assert run.problems() == [
        "server: tests.test_a::test_slow failed",
        "server: tests.test_a::test_broken failed",
        "lane server failed with status 1",
    ]


def ended(status: int, minutes: float = 0.0) -> Run:
    """The server lane with this exit status."""
    process = subprocess.Popen([sys.executable, "--version"], stdout=subprocess.DEVNULL)
    process.wait()
    process.returncode = status
    return Run(SERVER, process, None, 0.0, minutes)
