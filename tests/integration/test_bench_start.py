"""`laserve bench start` starts a service of its own and measures it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from laserve.cli import main
from laserve.errors import LaserveError
from laserve.lab.bench import start

FAKE = ["--profile", "fake"]


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", "start", *arguments])


def test_the_milestones_of_a_start_and_the_memory_of_each_process_are_shown_and_written(
    tmp_path: Path,
) -> None:
    out = tmp_path / "figures.json"
    done = bench(*FAKE, "--json", str(out))
    assert done.exit_code == 0, done.output
    figures: dict[str, Any] = json.loads(out.read_text())
    seconds = list(figures["seconds"].items())
    assert [name for name, _ in seconds] == ["listening", "ready", "all arms"]
    assert 0 < seconds[0][1] <= seconds[1][1] <= seconds[2][1] < 600
    (service,) = figures["processes"]
    assert service["role"] == "service"
    assert 20 < service["pss_mb"] <= service["rss_mb"] < 1000
    assert figures["rss_mb"] == service["rss_mb"]
    assert figures["peak_pss_mb"] >= figures["pss_mb"] == service["pss_mb"]
    for shown in ("listening", "all arms", "service", "peak", figures["machine"]):
        assert shown in done.stdout


def test_the_log_of_the_service_that_is_measured_is_in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("LASERVE_DATA_DIR", str(data))
    assert bench(*FAKE).exit_code == 0
    assert not data.exists()


def test_a_service_that_ends_before_it_is_ready_is_an_error_with_its_last_lines(tmp_path: Path) -> None:
    config = tmp_path / "laserve.yaml"
    config.write_text("context: {encoder: /no/such/folder}\n")
    done = bench(*FAKE, "--config", str(config))
    assert done.exit_code == 1
    assert "the service ended, or took too long" in done.stderr
    assert "/no/such/folder" in done.stderr


def test_a_service_that_is_too_slow_is_stopped() -> None:
    done = bench(*FAKE, "--limit", "0.05")
    assert done.exit_code == 1
    assert "the service ended, or took too long" in done.stderr


def test_a_wrong_setting_is_refused_before_a_service_is_started(tmp_path: Path) -> None:
    config = tmp_path / "laserve.yaml"
    config.write_text("servre: {}\n")
    done = bench("--config", str(config))
    assert done.exit_code == 1
    assert "servre" in done.stderr
    assert "the service ended" not in done.stderr


def test_a_system_without_the_kernels_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaserveError, match="only Linux"):
        start.run([], limit_s=1.0, out=None, proc=tmp_path)


def test_memory_is_that_of_a_process_and_of_all_below_it() -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', %r]).wait()"
    sleep = "import time; print('up', flush=True); time.sleep(60)  # VLLM::EngineCore"
    process = subprocess.Popen(
        [sys.executable, "-c", code % sleep], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        read = list(start.read(process.pid))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert [each.role for each in read] == ["service", "vLLM engine"]
    assert all(1 < each.pss_mb <= each.rss_mb for each in read)
