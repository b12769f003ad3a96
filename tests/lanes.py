"""The lanes of the tests: which test runs in which one, and the program that runs them all.

``python tests/lanes.py [LANE ...]`` runs the lanes, by default all but `image`, and prints what each took.
For each lane it leaves in `test-results` the JUnit XML, the slowest tests, and the output if it ran beside
another lane.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

TESTS = Path(__file__).parent
ROOT = TESTS.parent
RESULTS = ROOT / "test-results"
SLOWEST = 60
#: Seconds that lanes get to stop their servers after an interrupt.
GRACE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Tests that run one after another, or, with those options, side by side.

    Args:
        folders: below `tests`; all that hold tests of this lane.
        budget_min: minutes on two cores that it may take, with room for a busy machine.
        options: of pytest.
        environment: variables that are set for it.
    """

    name: str
    folders: tuple[str, ...]
    budget_min: float
    options: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


PARALLEL = Lane(
    name="parallel",
    folders=("unit", "contract", "docs"),
    budget_min=5,
    options=("--numprocesses=logical", "--maxprocesses=8", "--dist=worksteal"),
    environment=(("OMP_NUM_THREADS", "1"),),
)
SERVER = Lane(name="server", folders=("acceptance", "integration"), budget_min=13)
ENGINE = Lane(
    name="engine",
    folders=("contract", "acceptance", "integration"),
    budget_min=13,
    environment=(
        ("OMP_WAIT_POLICY", "PASSIVE"),
    ),  # threads of an engine that wait leave the cores to the servers
)
TIMED = Lane(name="timed", folders=("acceptance", "integration"), budget_min=2)
IMAGE = Lane(name="image", folders=("integration",), budget_min=15)
LANES = {lane.name: lane for lane in (PARALLEL, SERVER, ENGINE, TIMED, IMAGE)}
#: Fixtures that start an engine.
ENGINES = {"engine", "vllm_servers"}
#: Lanes that run at once, one group after another; the first of a group writes to the terminal.
GROUPS = ((PARALLEL,), (SERVER, ENGINE), (TIMED,))
#: Lanes that run when they are named: `make image-test`.
NAMED = ((IMAGE,),)


def lane_of(folder: str, marks: Collection[str]) -> Lane:
    """The one lane of a test.

    Args:
        folder: its folder directly below `tests`.
        marks: names of its marks.

    Raises:
        ValueError: it belongs into none, or into more than one.
    """
    marked = [lane for lane in (ENGINE, TIMED, IMAGE) if lane.name in marks]
    lanes = marked or [lane for lane in (PARALLEL, SERVER) if folder in lane.folders]
    if len(lanes) != 1 or folder not in lanes[0].folders:
        raise ValueError(f"tests/{folder} with marks {sorted(marks)} is in no lane or in several")
    return lanes[0]


def split(items: Sequence[Any]) -> dict[str, list[Any]]:
    """Tests by the name of their lane. Raises ValueError when one is not in exactly one lane."""
    by_lane: dict[str, list[Any]] = {name: [] for name in LANES}
    for item in items:
        lane = lane_of(item.path.relative_to(TESTS).parts[0], {mark.name for mark in item.iter_markers()})
        if lane is not ENGINE and ENGINES & set(getattr(item, "fixturenames", ())):
            raise ValueError(f"{item.nodeid} starts an engine and is not marked so")
        by_lane[lane.name].append(item)
    return by_lane


@dataclass(frozen=True, kw_only=True)
class Test:
    """How a test ended."""

    name: str
    seconds: float
    failed: bool

    @classmethod
    def of(cls, case: ElementTree.Element) -> "Test":
        """A test case of JUnit XML."""
        return cls(
            name=f"{case.get('classname')}::{case.get('name')}",
            seconds=float(case.get("time", 0)),
            failed=any(child.tag in ("failure", "error") for child in case),
        )


@dataclass
class Run:
    """A lane while it runs and after."""

    lane: Lane
    process: subprocess.Popen[bytes]
    #: File with its output, unless that goes to the terminal.
    log: Path | None
    began: float
    minutes: float = 0.0
    cpu_minutes: float = 0.0

    @property
    def report(self) -> Path:
        return RESULTS / f"{self.lane.name}.xml"

    def ended(self, status: int, usage: Any) -> None:
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.minutes = (time.monotonic() - self.began) / 60
        self.cpu_minutes = (usage.ru_utime + usage.ru_stime) / 60

    def tests(self) -> list[Test]:
        """All that ran, the slowest first."""
        if not self.report.is_file():
            return []
        cases = ElementTree.parse(self.report).iter("testcase")
        return sorted(map(Test.of, cases), key=lambda test: test.seconds, reverse=True)

    def problems(self) -> list[str]:
        """What makes the whole fail; a budget does so in CI alone."""
        problems = [f"{self.lane.name}: {test.name} failed" for test in self.tests() if test.failed]
        if self.process.returncode:
            problems.append(f"lane {self.lane.name} failed with status {self.process.returncode}")
        if self.minutes > self.lane.budget_min and os.environ.get("CI"):
            problems.append(f"lane {self.lane.name} took longer than its budget")
        return problems


def start(lane: Lane, log: Path | None, files: ExitStack) -> Run:
    """Start a lane in a process group of its own, so that an interrupt reaches it once, from here."""
    command = [sys.executable, "-m", "pytest", "--lane", lane.name, *lane.options]
    command += [f"--junitxml={RESULTS / lane.name}.xml", *(f"tests/{folder}" for folder in lane.folders)]
    (RESULTS / f"{lane.name}.xml").unlink(missing_ok=True)  # of an earlier run
    output = None if log is None else files.enter_context(log.open("wb"))
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | dict(lane.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output and subprocess.STDOUT,
        process_group=0,
    )
    return Run(lane, process, log, time.monotonic())


def run_group(lanes: Sequence[Lane]) -> list[Run]:
    """Run lanes at once; the output of all but the first is printed when all have ended."""
    with ExitStack() as files:
        names = " and ".join(lane.name for lane in lanes)
        say(f"\n--- {names}{', at once' if len(lanes) > 1 else ''}")
        runs = []
        with stopped_on_interrupt(runs):
            for number, lane in enumerate(lanes):
                runs.append(start(lane, RESULTS / f"{lane.name}.log" if number else None, files))
            wait(runs)
    for run in runs:
        if run.log is not None:
            say(f"\n--- {run.lane.name}\n{run.log.read_text(errors='replace')}")
        slowest = [f"{test.seconds:8.2f} s  {test.name}\n" for test in run.tests()[:SLOWEST]]
        (RESULTS / f"{run.lane.name}-slowest.txt").write_text("".join(slowest))
    return runs


def wait(runs: Sequence[Run]) -> None:
    for _ in runs:
        pid, status, usage = os.wait4(-1, 0)
        next(run for run in runs if run.process.pid == pid).ended(status, usage)


@contextmanager
def stopped_on_interrupt(runs: Sequence[Run]) -> Iterator[None]:
    """End all lanes when this process is interrupted or terminated in the block."""
    try:
        yield
    except KeyboardInterrupt:
        running = [run for run in runs if run.process.returncode is None]
        for run in running:
            os.killpg(run.process.pid, signal.SIGINT)
        deadline = time.monotonic() + GRACE_S
        try:
            for run in running:
                run.process.wait(deadline - time.monotonic())
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            for run in running:
                os.killpg(run.process.pid, signal.SIGKILL)
        raise


def table(runs: Sequence[Run]) -> str:
    lines = [f"{'lane':10}{'tests':>7}{'minutes':>9}{'CPU min':>9}{'budget':>8}"]
    lines += [
        f"{run.lane.name:10}{len(run.tests()):7}{run.minutes:9.1f}{run.cpu_minutes:9.1f}"
        f"{run.lane.budget_min:8.1f}{'  over its budget' * (run.minutes > run.lane.budget_min)}"
        for run in runs
    ]
    return "\n".join(lines)


def say(line: str) -> None:
    print(line, flush=True)


def main(names: Sequence[str]) -> int:
    RESULTS.mkdir(exist_ok=True)
    groups = (*GROUPS, *NAMED) if names else GROUPS
    chosen = [tuple(lane for lane in group if not names or lane.name in names) for group in groups]
    if len(os.sched_getaffinity(0)) == 1:  # two lanes would only wait for each other
        chosen = [(lane,) for group in chosen for lane in group]
    began, runs = time.monotonic(), []
    for group in filter(None, chosen):
        runs += run_group(group)
    say(f"\n{table(runs)}\n{'all':17}{(time.monotonic() - began) / 60:9.1f}")
    problems = [problem for run in runs for problem in run.problems()]
    say("\n".join(problems))
    return int(bool(problems))


if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - LANES.keys():
        sys.exit(f"unknown lanes: {', '.join(sorted(unknown))}; there are: {', '.join(LANES)}")
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted")
