"""Programs of the system that tests use, installed by apt where that is possible.

``python tests/system.py`` installs what is missing, as root on Debian and its kin, and elsewhere names it;
a test that finds no such program fails and says which.
"""

import os
import shutil
import subprocess
import sys

#: Program -> its package in Debian.
PACKAGES = {
    "buildah": "buildah",
    "chromium": "chromium",
    "mmdebstrap": "mmdebstrap",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
}
#: The administrator's programs are not on everyone's path.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
#: Packages are configured without questions, and their services stay off.
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


def find(name: str) -> str:
    """The path of a program of `PACKAGES`. Raises FileNotFoundError that says how to install it."""
    path = shutil.which(name, path=PATH)
    if path is None:
        raise FileNotFoundError(f"this test needs `{name}`: install {PACKAGES[name]} (apt-get install)")
    return path


def missing() -> list[str]:
    """Packages of the programs that are not there."""
    return sorted({package for name, package in PACKAGES.items() if shutil.which(name, path=PATH) is None})


def main() -> None:
    """Install what is missing, or say what that is."""
    packages = missing()
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {', '.join(packages)} ...", flush=True)
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            command = ["apt-get", "-qq", *arguments]
            subprocess.run(command, check=True, env={**os.environ, **QUIET}, stdout=subprocess.DEVNULL)
    elif packages:
        print(f"not installed, and some tests need it: {', '.join(packages)}", file=sys.stderr)


if __name__ == "__main__":
    main()
