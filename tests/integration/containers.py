"""Images and containers without an image registry: built by buildah, run in namespaces of Linux, as root."""

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

import system

#: A base that stands in for the image of the Dockerfile's first line: Debian's own Python 3.11 with pip.
SUITE, PACKAGES = "bookworm", "python3-pip,ca-certificates"

#: Makes a root file system read-only, with its volumes and a /tmp as Docker's, and becomes the command in it.
#: Arguments: the root, the user, the working directory, the volumes as SOURCE:TARGET, `--`, the command.
ENTER = """
set -eu
root=$1 user=$2 folder=$3
shift 3
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777,noexec,nosuid,nodev tmpfs "$root/tmp"
while [ "$1" != -- ]; do
    mkdir -p "$root/${1#*:}"
    mount --bind "${1%%:*}" "$root/${1#*:}"
    shift
done
shift
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --no-new-privs \\
    --bounding-set=-all --inh-caps=-all env --chdir="$folder" "$@"
"""


def output(command: Sequence[str | Path], timeout_s: float = 60) -> str:
    """What a command prints; fails with all that it said when it does."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, (
        f"{shlex.join(map(str, command))}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    )
    return done.stdout


def debian(tar: Path) -> None:
    """Write a root file system of Debian from the mirror of this machine."""
    wanted = ["Created-By: Packages", "Origin: Debian", "Component: main"]
    sites = output(["apt-get", "indextargets", "--format", "$(SITE)", *wanted]).split()
    assert sites, f"this test needs a mirror of Debian {SUITE} among the sources of apt"
    program = system.find("mmdebstrap")
    output([program, "--variant=apt", f"--include={PACKAGES}", SUITE, tar, sites[0]], 400)


def pip_settings(folder: Path) -> list[str]:
    """Options that give a build this machine's settings of pip, and the files and folders that they name."""
    lines = output([sys.executable, "-m", "pip", "config", "list"]).splitlines()
    settings = {}
    for name, value in (line.split("=", 1) for line in lines):
        settings[name.split(".", 1)[1]] = str(ast.literal_eval(value))
    words = [word.removeprefix("file://") for value in settings.values() for word in value.split()]
    paths = {Path(word) for word in words if word.startswith("/") and Path(word).exists()}
    file = folder / "pip.conf"
    body = "".join(f"{name} = {' '.join(value.split())}\n" for name, value in settings.items())
    file.write_text(f"[global]\n{body}")
    # An index of files links to folders beside it.
    roots = {path.parent if path.name == "simple" else path for path in paths}
    return [f"--secret=id=pip.conf,src={file}", *(f"--volume={path}:{path}:ro" for path in sorted(roots))]


@dataclass(frozen=True)
class Images:
    """Buildah with a store of its own in a folder."""

    folder: Path

    @cached_property
    def _buildah(self) -> tuple[str, ...]:
        """Buildah, on the driver that does not copy a whole file system for each layer, where that works."""
        assert os.geteuid() == 0, "this test needs root: it builds an image and enters namespaces"
        stores = ("--root", str(self.folder / "store"), "--runroot", str(self.folder / "run"))
        for driver in ("overlay", "vfs"):
            command = (system.find("buildah"), "--storage-driver", driver, *stores)
            if (
                subprocess.run([*command, "info"], capture_output=True, timeout=60, check=False).returncode
                == 0
            ):
                return command
            shutil.rmtree(self.folder / "store", ignore_errors=True)
        raise AssertionError("buildah has no storage driver that works here")

    def __call__(self, *arguments: str, timeout_s: float = 60) -> str:
        """What buildah prints."""
        return output([*self._buildah, *arguments], timeout_s).strip()

    def build(self, context: Path, name: str, *options: str, timeout_s: float) -> None:
        """Build a Dockerfile; no image is pulled, and each RUN line runs."""
        arguments = ("--isolation", "chroot", "--pull-never", "--format", "docker", "--layers=false")
        self("bud", *arguments, *options, "--tag", name, str(context), timeout_s=timeout_s)

    def image(self, name: str) -> "Image":
        """An image, with its root file system mounted."""
        config = json.loads(self("inspect", "--type", "image", name))["Docker"]["config"]
        container = self("from", "--pull-never", name)
        return Image(root=Path(self("mount", container)), config=config)

    def remove(self) -> None:
        """Remove every container and image."""
        self("rm", "--all")
        self("rmi", "--all", "--force", timeout_s=300)
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Image:
    """A built image."""

    root: Path
    config: Mapping[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.config["Env"])

    def command(self, volumes: Mapping[Path, str], *arguments: str) -> list[str]:
        """The command that runs the image as a container, whose PID 1 it becomes; it needs `environment`.

        Args:
            volumes: folder of this machine -> path in the container.
            arguments: in place of the image's CMD.
        """
        program = [*self.config["Entrypoint"], *(arguments or self.config["Cmd"])]
        return self.enter(volumes, *program)

    def enter(self, volumes: Mapping[Path, str], *program: str) -> list[str]:
        """The command that runs a program in place of the image's entry point."""
        namespaces = ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child"]
        bound = [f"{source}:{target}" for source, target in volumes.items()]
        where = [str(self.root), self.config["User"], self.config["WorkingDir"]]
        return [*namespaces, "sh", "-c", ENTER, "enter", *where, *bound, "--", *program]

    def healthcheck(self, process: subprocess.Popen[bytes], environment: Mapping[str, str]) -> int:
        """Exit status of the image's health check in a running container."""
        kind, *check = self.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        uid, gid = self.config["User"].split(":")
        first = str(first_process(process).pid)
        within = [
            "nsenter",
            "--target",
            first,
            "--mount",
            "--pid",
            "--root",
            "--setuid",
            uid,
            "--setgid",
            gid,
        ]
        done = subprocess.run(
            [*within, *check], env=environment, capture_output=True, timeout=30, check=False
        )
        return done.returncode


def first_process(process: subprocess.Popen[bytes]) -> psutil.Process:
    """The container's PID 1."""
    (first,) = psutil.Process(process.pid).children()
    return first
