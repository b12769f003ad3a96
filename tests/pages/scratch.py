"""The folder in which the blocks of one page run, and the service that they speak to.

Some programs stand before the system's: `laserve` with the fake profile by default, whose `serve` leaves its
arguments for `Scratch`, which starts the service; `make`, of which only `make serve` runs; `curl`, which
fails where the answer is an error; and what no test may run, such as `pip`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pages import samples
from pages.markdown import ROOT
from processes import Server, launch, wait_ready

#: Seconds that a block may take.
TIMEOUT_S = 120.0
_URL = re.compile(r"(?:http://)?(?:127\.0\.0\.1|localhost):8000")
_ID = re.compile(r'"decision_id":\s*"([^"]+)"')
_PASTED = "PASTE-THE-DECISION-ID"
#: A command that needs a service that runs, and those that need the log that a service has begun.
_DEMO = re.compile(r"\blaserve demo\b")
_LOG = re.compile(r"\blaserve (ope|export|state)\b")
#: `laserve serve` returns at once here, and its arguments must be there when the block has ended.
_BACKGROUND = re.compile(r"(\b(?:laserve|make) serve\b(?:[^\n&]|\\\n)*)&[ \t]*$", re.MULTILINE)

_LASERVE = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
from laserve.cli import main

def profiles(group):
    return {{
        name: profiles(command) if hasattr(command, "commands") else {{"profile": "fake"}}
        for name, command in group.commands.items()
    }}

if sys.argv[1:2] == ["serve"] and not {{"-h", "--help"}} & {{*sys.argv}}:
    env = {{name: value for name, value in os.environ.items() if name.startswith("LASERVE_")}}
    Path(os.environ["DOCS_SERVE"]).write_text(json.dumps({{"arguments": sys.argv[2:], "env": env}}))
else:
    defaults = profiles(main)
    defaults["demo"]["url"] = os.environ["DOCS_URL"]
    main(prog_name="laserve", default_map=defaults)
"""
_PYTHON = f"""#!/bin/sh
exec {sys.executable} "$@"
"""
_MAKE = """#!/bin/sh
[ "$1" = serve ] && exec laserve serve
echo "only 'make serve' runs here" >&2
exit 2
"""
_CURL = """#!/bin/sh
exec {curl} --fail-with-body "$@"
"""
#: What would change the machine, or needs another one; a block with it must say why it does not run.
_FOREIGN = ("pip", "pip3", "git", "apt", "apt-get", "docker", "docker-compose", "podman", "buildah")
_FOREIGN += ("sudo", "systemctl", "journalctl", "kubectl")
_REFUSAL = """#!/bin/sh
echo "${0##*/}" >"$DOCS_REFUSED"
exit 2
"""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a block ended."""

    status: int
    out: str
    err: str


@dataclass
class Scratch:
    """A folder with copies of `deploy/` and the sample files; ends what its blocks have started."""

    folder: Path
    server: Server | None = None
    #: The `decision_id` that was printed last.
    decision: str | None = None
    #: What `laserve serve` was given last: arguments, and variables of the environment.
    serve: tuple[list[str], dict[str, str]] = field(default_factory=lambda: ([], {}))
    _groups: list[int] = field(default_factory=list)

    def __enter__(self) -> Self:
        shutil.copytree(ROOT / "deploy", self.folder / "deploy")
        samples.lay_out(self.folder)
        for folder in (self._bin, self._data):
            folder.mkdir(parents=True)
        programs = {"laserve": _LASERVE, "make": _MAKE, "curl": _CURL.format(curl=shutil.which("curl"))}
        programs |= dict.fromkeys(_FOREIGN, _REFUSAL) | dict.fromkeys(("python", "python3"), _PYTHON)
        for name, text in programs.items():
            (self._bin / name).write_text(text)
            (self._bin / name).chmod(0o755)
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self.stop()

    @property
    def _bin(self) -> Path:
        return self.folder / ".venv" / "bin"

    @property
    def _home(self) -> Path:
        return self.folder / "home"

    @property
    def _data(self) -> Path:
        """Where the default is, seen from the home of these blocks."""
        return self._home / ".local" / "share" / "laserve"

    @property
    def _asked(self) -> Path:
        """What `laserve serve` was given in the block that runs."""
        return self.folder / ".serve"

    @property
    def _refused(self) -> Path:
        """Name of a program that the block must not run."""
        return self.folder / ".refused"

    def environment(self) -> dict[str, str]:
        cache = os.environ.get("LASERVE_CACHE_DIR") or str(Path.home() / ".cache" / "laserve")
        paths = [str(ROOT / "service"), str(ROOT / "clients" / "python")]
        return {
            "PATH": os.pathsep.join([str(self._bin), os.environ["PATH"], "/usr/sbin", "/sbin"]),
            "PYTHONPATH": os.pathsep.join(paths),
            "HOME": str(self._home),
            "LASERVE_CACHE_DIR": cache,
            "LASERVE_DATA_DIR": str(self._data),
            "LASERVE_STORAGE__KIND": "sqlite",
            "DOCS_SERVE": str(self._asked),
            "DOCS_REFUSED": str(self._refused),
            "DOCS_URL": self.server.url if self.server else "",
        }

    def run(self, program: list[str], text: str) -> Ran:
        """Run a program on a block; a `laserve serve` in it has become a service when this returns."""
        begun = (self._data / "laserve.db").exists()
        if _URL.search(text) or _DEMO.search(text) or (_LOG.search(text) and not begun):
            self.start()
        if _PASTED in text and self.decision is None:
            raise AssertionError(f"{_PASTED}: no block before this one printed a decision_id")
        ran = self._execute(program, _BACKGROUND.sub(r"\1", self.filled(text)))
        for decision in _ID.findall(ran.out):
            self.decision = decision
        if self._refused.exists():  # also where the shell went on, as behind `&&`
            name = self._refused.read_text().strip()
            raise AssertionError(f"{name} does not run in a test: say <!-- not run: REASON --> before it")
        if self._asked.exists():
            given = json.loads(self._asked.read_text())
            self._asked.unlink()
            self.stop()
            self.serve = (given["arguments"], given["env"])
            self.start()
        return ran

    def filled(self, text: str) -> str:
        """The text with the URL of the service and the decision in their places."""
        url = self.server.url if self.server else ""
        text = _URL.sub(lambda found: url.removeprefix("" if "//" in found[0] else "http://"), text)
        return text.replace(_PASTED, self.decision or _PASTED)

    def _execute(self, program: list[str], text: str) -> Ran:
        out, err = self.folder / ".out", self.folder / ".err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*program, text],
                cwd=self.folder,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                process_group=0,
            )
        self._groups.append(process.pid)  # what it left in the background runs until the end of the page
        try:
            status = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"took longer than {TIMEOUT_S:.0f} s") from None
        return Ran(status=status, out=out.read_text(errors="replace"), err=err.read_text(errors="replace"))

    def start(self) -> None:
        """Start the service as `laserve serve` asked for it, on a port of its own, unless it runs."""
        if self.server is not None:
            return
        arguments, env = self.serve
        log = self.folder / ".service.log"
        log.unlink(missing_ok=True)
        server = launch(
            log,
            "--profile",
            "fake",
            *_without_address(arguments),
            env=self.environment() | env,
            folder=self.folder,
        )
        self.server = server
        wait_ready(server)

    def stop(self) -> None:
        """Stop the service, if it runs; its log of decisions stays."""
        server, self.server = self.server, None
        if server is not None:
            server.client.close()
            if server.process.poll() is None:
                server.stop()


def _without_address(arguments: list[str]) -> list[str]:
    """Arguments of `laserve serve` but for the address, which is the test's own."""
    kept = []
    words = iter(arguments)
    for word in words:
        if word in ("--host", "--port"):
            next(words, None)
        elif not word.startswith(("--host=", "--port=")):
            kept.append(word)
    return kept
