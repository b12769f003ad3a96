"""The compose file: what it mounts is there, and what it starts is pinned, confined and checked."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import laserve
from laserve.config import load

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GPU_TEXT = (DEPLOY / "compose.gpu.yaml").read_text("utf-8")
GPU: dict[str, Any] = yaml.safe_load(GPU_TEXT)["services"]["laserve"]
#: Of an engine of several processes: ten chunks of 16 MiB (VLLM_MQ_MAX_CHUNK_BYTES_MB).
QUEUE_BYTES = 10 * 16 << 20
#: Keys of a service that the Compose Specification has and the file uses.
KEYS = {
    "build",
    "cap_drop",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "init",
    "logging",
    "ports",
    "read_only",
    "restart",
    "security_opt",
    "shm_size",
    "stop_grace_period",
    "tmpfs",
    "volumes",
}


def seconds(duration: str) -> int:
    """Seconds of a duration as `60s`."""
    assert re.fullmatch(r"\d+s", duration), duration
    return int(duration.removesuffix("s"))


def test_only_keys_of_the_specification_are_used() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"name", "services", "volumes"}
    assert {key for service in SERVICES.values() for key in service} - KEYS == set()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_by_a_tag(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)


def test_the_image_of_the_service_has_its_version_and_its_dockerfile() -> None:
    assert SERVICES["laserve"]["image"] == f"laserve:{laserve.__version__}"
    assert (DEPLOY / SERVICES["laserve"]["build"]["context"] / "Dockerfile").is_file()


@pytest.mark.parametrize("name", SERVICES)
def test_health_is_checked_in_the_exec_form(name: str) -> None:
    check = SERVICES[name].get("healthcheck")
    if name == "laserve":
        assert check is None  # the image's own
        assert "\nHEALTHCHECK " in (ROOT / "Dockerfile").read_text("utf-8")
    else:
        assert check["test"][0] == "CMD"
        assert seconds(check["timeout"]) < seconds(check["interval"])


def test_what_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for source, target in (volume.split(":")[:2] for volume in service["volumes"]):
            assert target.startswith("/")
            assert source in COMPOSE["volumes"] or (DEPLOY / source).is_dir(), source
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert set(COMPOSE["volumes"]) <= used


def test_files_of_the_repository_are_mounted_read_only() -> None:
    bound = [volume for one in SERVICES.values() for volume in one["volumes"] if volume.startswith(".")]
    assert [volume for volume in bound if not volume.endswith(":ro")] == []


def test_ports_are_open_to_this_machine_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service["ports"]]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_a_stop_waits_for_longer_than_the_service_drains() -> None:
    assert seconds(SERVICES["laserve"]["stop_grace_period"]) >= load().server.drain_s + 20


def test_the_keys_of_callers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    (value,) = SERVICES["laserve"]["environment"].values()
    secret = re.search(r"\$\{(\w+):\?[^}]+\}", value)
    assert secret is not None  # without the variable nothing starts
    assert secret[1] == "LASERVE_API_KEY"
    monkeypatch.setenv("LASERVE_SERVER__API_KEYS", value.replace(secret[0], "secret"))
    keys = load().server.api_keys
    assert {name: key.get_secret_value() for name, key in keys.items()} == {"application": "secret"}
    assert "LASERVE_API_KEY" not in os.environ


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("KEY|PASSWORD|SECRET|TOKEN", name):
                assert re.search(r"\$\{\w+:\?", value), name


def test_engines_have_more_shared_memory_than_their_queues_take() -> None:
    sizes = [int(one["shm_size"].removesuffix("gb")) for one in (SERVICES["laserve"], GPU)]
    assert min(sizes) << 30 > QUEUE_BYTES


def test_on_a_gpu_the_service_is_built_on_vllm_and_has_an_image_of_its_own() -> None:
    assert re.fullmatch(r"vllm/vllm-openai:v\d+\.\d+\.\d+", GPU["build"]["args"]["BASE"])
    assert GPU["image"] == f"laserve:{laserve.__version__}-gpu"
    (device,) = GPU["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_on_a_gpu_the_settings_are_those_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    (mount,) = GPU["volumes"]
    source, target, mode = mount.split(":")
    assert (source, mode) == ("./gpu.yaml", "ro")
    assert GPU["command"] == ["serve", "--config", target]
    assert load(config=DEPLOY / source).generation.kind == "vllm"


def test_the_commands_of_the_gpu_file_fetch_the_model_of_the_mounted_settings_before_the_start() -> None:
    page = (ROOT / "docs/how-to/container.md").read_text("utf-8")
    steps = [line.removeprefix("#   ") for line in GPU_TEXT.splitlines() if line.startswith("#   ")]
    assert all(file in steps[1] for file in ("deploy/compose.yaml", "deploy/compose.gpu.yaml"))
    assert [step.split()[1] for step in steps[2:]] == ["build", "run", "up"]
    fetch = f"laserve models --config {GPU['command'][-1]} --download"
    assert steps[3].startswith(f"$compose run --rm {fetch}")
    assert all(step.partition("    #")[0] in page for step in steps)
