"""The systemd unit: systemd accepts it and rates its confinement."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import system
from laserve.config import load

UNIT = Path(__file__).parents[3] / "deploy" / "laserve.service"
TEXT = UNIT.read_text("utf-8")
PROGRAM = "/opt/laserve/bin/laserve"
#: Of 10; what systemd calls OK ends at 5.
MOST_EXPOSED = 1.5


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = system.find("systemd-analyze")
    command = [program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def verified(folder: Path, text: str) -> str:
    """What systemd has to say on a unit; its program must be one of this machine."""
    unit = folder / UNIT.name
    unit.write_text(text.replace(PROGRAM, sys.executable))
    done = analyze("verify", "--man=no", unit)
    return "".join(line for line in (done.stdout + done.stderr).splitlines(True) if UNIT.name in line)


def setting(name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", TEXT, re.MULTILINE)
    return str(value)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    assert setting("ExecStart").startswith(f"{PROGRAM} serve ")
    assert verified(tmp_path, TEXT) == ""


@pytest.mark.parametrize(("line", "wrong"), [("Type=exec", "Typ=exec"), ("Type=exec", "Type=exek")])
def test_a_wrong_line_would_be_reported(tmp_path: Path, line: str, wrong: str) -> None:
    assert verified(tmp_path, TEXT.replace(line, wrong)) != ""


def test_the_service_is_confined() -> None:
    done = analyze("security", "--offline=yes", f"--threshold={MOST_EXPOSED * 10:.0f}", UNIT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stop_waits_for_longer_than_the_service_drains() -> None:
    assert int(setting("TimeoutStopSec")) >= load().server.drain_s + 20


def test_only_the_service_s_process_gets_the_signal() -> None:
    assert setting("KillMode") == "mixed"


def test_what_settings_do_not_allow_is_not_tried_for_ever() -> None:
    starts, limit_s = int(setting("StartLimitBurst")), int(setting("StartLimitIntervalSec"))
    refused_s = 10  # a start that ends with an error of the settings takes less
    assert starts * (int(setting("RestartSec")) + refused_s) < limit_s


def test_the_drop_in_for_a_gpu_opens_its_devices(tmp_path: Path) -> None:
    page = (UNIT.parents[1] / "docs/how-to/container.md").read_text("utf-8")
    (dropped,) = re.findall(r"printf '(\[Service\].*)' \| sudo tee \S+/gpu.conf", page)
    lines = dropped.replace("\\n", "\n")
    # Each of the two keeps device files of a GPU from the service.
    assert set(lines.splitlines()) == {"[Service]", "PrivateDevices=no", "ProtectClock=no"}
    assert verified(tmp_path, TEXT.replace("\n[Install]", f"\n{lines}\n[Install]")) == ""
