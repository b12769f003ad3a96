"""Benchmark of a start: seconds until a service is ready, and the memory of each of its processes."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from laserve.errors import LaserveError
from laserve.lab.output import Table, machine, show, write_json

#: Milestones, and the line of the service's log that shows each.
_MILESTONES = {
    "listening": re.compile(r": listening on http"),
    "ready": re.compile(r"^laserve is ready: "),
    "all arms": re.compile(r": loaded, arms: "),
}
#: Pause between two measurements of the memory, in seconds.
_SAMPLE_S = 1.0
#: Wait after the last milestone, in which the start's last work ends, in seconds.
_SETTLE_S = 2.0
_MB = 1e6
#: Role of a process, by a part of its command line or title.
_ROLES = {
    "VLLM::EngineCore": "vLLM engine",
    "VLLM::Worker": "vLLM worker",
    "resource_tracker": "resource tracker",
}


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process of the service, and its memory in MB."""

    role: str
    #: Resident pages, those that other processes map as well included.
    rss_mb: float
    #: Resident pages, each divided by the number of processes that map it, so that a sum counts none twice.
    pss_mb: float


#: Folder in which a service writes its address; that of another service on this machine stays.
_RUNTIME = "RUNTIME_DIRECTORY"


def run(arguments: Sequence[str], *, limit_s: float, out: Path | None, proc: Path = Path("/proc")) -> None:
    """Start a service, print its milestones and memory, stop it, and write the figures to `out`.

    Keys: ``seconds`` (milestone -> seconds from the start of the process), ``processes`` (each with ``role``,
    ``rss_mb``, ``pss_mb``), ``rss_mb`` and ``pss_mb`` (sums), ``peak_pss_mb`` (largest sum until then),
    ``machine``.

    Args:
        arguments: arguments of ``laserve serve``.
        limit_s: longest time until all arms have loaded, in seconds.

    Raises:
        LaserveError: the system has no ``/proc``, or the service ended or was too slow.
    """
    if not (proc / "self/smaps_rollup").exists():
        raise LaserveError("memory by process is read from /proc/PID/smaps_rollup, which only Linux has")
    with tempfile.TemporaryDirectory(prefix="laserve-start-") as folder:
        figures = _measure([*arguments, "--host", "127.0.0.1", "--port", "0"], Path(folder), limit_s, proc)
    rows = [(each["role"], each["rss_mb"], each["pss_mb"]) for each in figures["processes"]]
    rows.append(("sum", figures["rss_mb"], figures["pss_mb"]))
    show(
        Table(
            title="seconds from the start of the process",
            columns=("milestone", "seconds"),
            rows=[(name, f"{value:.1f}") for name, value in figures["seconds"].items()],
        ),
        Table(
            title="memory with all arms loaded, in MB",
            columns=("process", "resident", "own share"),
            rows=[(role, f"{rss:,.0f}", f"{pss:,.0f}") for role, rss, pss in rows],
            notes=[f"peak of the sum of the shares: {figures['peak_pss_mb']:,.0f} MB"],
        ),
        figures["machine"],
    )
    if out:
        write_json(out, figures)


def _measure(arguments: Sequence[str], folder: Path, limit_s: float, proc: Path) -> dict[str, Any]:
    environment = {
        "LASERVE_DATA_DIR": str(folder),
        "LASERVE_STORAGE__PATH": str(folder / "laserve.db"),
        "LASERVE_LOG__LEVEL": "info",
        "LASERVE_LOG__FORMAT": "text",
    }
    began = time.monotonic()
    service = subprocess.Popen(  # noqa: S603 - this Python, with the user's own arguments
        [sys.executable, "-m", "laserve", "serve", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={name: value for name, value in os.environ.items() if name != _RUNTIME} | environment,
    )
    peak = _Peak(service.pid, proc)
    timer = threading.Timer(limit_s, service.kill)
    try:
        timer.start()
        peak.start()
        seconds = _milestones(service, began)
        timer.cancel()
        time.sleep(_SETTLE_S)
        processes = sorted(read(service.pid, proc), key=lambda process: -process.pss_mb)
    finally:
        timer.cancel()
        peak.stop()
        _stop(service)
    sums = {name: sum(getattr(each, name) for each in processes) for name in ("rss_mb", "pss_mb")}
    return {
        "seconds": seconds,
        "processes": [asdict(process) for process in processes],
        **sums,
        "peak_pss_mb": max(peak.mb, sums["pss_mb"]),
        "machine": machine(),
    }


def _milestones(service: subprocess.Popen[str], began: float) -> dict[str, float]:
    """Seconds to each milestone. Raises LaserveError if the service ends before the last one."""
    assert service.stderr is not None  # noqa: S101 - a pipe was requested
    seconds: dict[str, float] = {}
    lines = []
    for line in service.stderr:
        lines.append(line)
        for name, pattern in _MILESTONES.items():
            if pattern.search(line):
                seconds.setdefault(name, time.monotonic() - began)
        if len(seconds) == len(_MILESTONES):
            return seconds
    raise LaserveError("the service ended, or took too long:\n" + "".join(lines[-30:]))


def _stop(service: subprocess.Popen[str]) -> None:
    with suppress(OSError):
        service.send_signal(signal.SIGTERM)
    service.communicate()


class _Peak(threading.Thread):
    """The largest sum of the processes' shares of memory so far, measured at intervals."""

    def __init__(self, pid: int, proc: Path) -> None:
        super().__init__(daemon=True)
        self.mb = 0.0
        self._pid = pid
        self._proc = proc
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(_SAMPLE_S):
            self.mb = max(self.mb, sum(process.pss_mb for process in read(self._pid, self._proc)))

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def read(pid: int, proc: Path = Path("/proc")) -> Iterator[Process]:
    """The process and all below it, except those that end meanwhile."""
    for each in _below(pid, proc):
        with suppress(OSError):
            sizes = dict(_sizes((proc / str(each) / "smaps_rollup").read_text()))
            title = (proc / str(each) / "cmdline").read_text(errors="replace")
            roles = (role for part, role in _ROLES.items() if part in title)
            role = "service" if each == pid else next(roles, "other")
            yield Process(role=role, rss_mb=sizes["Rss"] / _MB, pss_mb=sizes["Pss"] / _MB)


def _sizes(text: str) -> Iterator[tuple[str, int]]:
    """Names and bytes of the lines such as ``Pss: 12 kB``."""
    for name, kilobytes in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE):
        yield name, int(kilobytes) * 1024


def _below(pid: int, proc: Path) -> list[int]:
    pids = [pid]
    for each in pids:
        for children in (proc / str(each)).glob("task/*/children"):
            with suppress(OSError):
                pids += map(int, children.read_text().split())
    return pids
