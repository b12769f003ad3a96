"""A start that never became ready fixes no settings for the starts after it."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from processes import LASERVE, Server, launch, serving

NOBODY = "http://127.0.0.1:9"
FAKE = {"generation": {"kind": "fake"}, "context": {"encoder": "hash"}}
ARM = {"name": "one", "kind": "fake"}


def written(file: Path, **sections: Any) -> str:
    """A settings file of the fake generator, unless the sections say otherwise."""
    content = FAKE | {"arms": [ARM]} | sections
    file.write_text(yaml.safe_dump(content))
    return str(file)


def ended(server: Server) -> int:
    return server.process.wait(120)


def until_listening(server: Server) -> str:
    """The URL of a server that loads."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.output()
        for line in server.output().splitlines():
            if "listening on " in line:
                return line.partition("listening on ")[2].partition(",")[0]
        time.sleep(0.05)  # interval between polls of a real process
    raise AssertionError(server.output())


def until_answered(url: str, wanted: str) -> None:
    deadline = time.monotonic() + 60
    while (status := httpx.get(f"{url}/readyz").json()["status"]) != wanted:
        assert time.monotonic() < deadline, status
        time.sleep(0.05)  # interval between polls of a real process


def fails(server: Server) -> None:
    assert ended(server) == 1
    assert "Traceback" not in server.output()


def stopped_without_an_arm(server: Server) -> None:
    until_answered(until_listening(server), "failed")
    assert server.stop() == 0


def killed_while_it_loads(server: Server) -> None:
    url = until_listening(server)
    assert httpx.get(f"{url}/readyz").json()["status"] == "loading"
    assert httpx.post(f"{url}/generate", json={"prompt": "a"}).status_code == 503
    server.kill()


UNREADY: dict[str, tuple[dict[str, Any], Callable[[Server], None]]] = {
    "a folder that is no model": ({"generation": {"kind": "vllm", "model": "{folder}"}}, fails),
    "a server that is not there": (
        {"generation": {"kind": "openai", "url": NOBODY, "model": "m"}},
        fails,
    ),
    "no arm that loads": ({"arms": [ARM | {"options": {"fail": True}}]}, stopped_without_an_arm),
    "killed while it loads": ({"arms": [ARM | {"options": {"delay_s": 50}}]}, killed_while_it_loads),
}


@pytest.mark.parametrize("case", UNREADY)
def test_a_start_that_never_became_ready_fixes_no_settings(tmp_path: Path, case: str) -> None:
    sections, ends = UNREADY[case]
    folder = tmp_path / "no-model"
    folder.mkdir()
    if "model" in sections.get("generation", {}):
        model = sections["generation"]["model"].format(folder=folder)
        sections = {"generation": sections["generation"] | {"model": model}}
    env = {"LASERVE_DATA_DIR": str(tmp_path / "data")}
    mistaken = written(
        tmp_path / "mistaken.yaml",
        **sections | {"policy": {"discount": 0.5, "learn_from": "thumb"}},
        context={"encoder": "hash", "tasks": ["mistaken"]},
    )
    server = launch(tmp_path / "log", "--config", mistaken, env=env)
    try:
        ends(server)
    finally:
        if server.process.poll() is None:
            server.kill()

    right = written(
        tmp_path / "right.yaml",
        context={"encoder": "hash", "tasks": ["right"]},
        policy={"reward_scaling": "quantile", "learn_from": "reward"},
        arms=[ARM | {"name": "other"}],
    )
    with serving(tmp_path / "log2", "--config", right, env=env) as service:
        policy = service.client.get("/policy").json()
        assert "task:right" in policy["context"]
        assert policy["learn_from"] == "reward"
        assert [arm["name"] for arm in policy["arms"]] == ["other"]
        decision = service.client.post("/generate", json={"prompt": "a", "task": "right"}).json()
        feedback = {"decision_id": decision["decision_id"], "reward": 1.0}
        assert service.client.post("/feedback", json=feedback).status_code == 200
    assert verified(env, right).startswith(f"{tmp_path}/data/laserve.db: 3 events")

    again = launch(tmp_path / "log3", "--config", mistaken, env=env)
    assert ended(again) == 1  # now the settings are fixed
    assert "but the log was started with ['right']" in again.output()


def verified(env: Mapping[str, str], config: str) -> str:
    """Output of `laserve state verify`, which has passed."""
    command = [*LASERVE, "state", "verify", "--config", config]
    done = subprocess.run(command, env=os.environ | dict(env), capture_output=True, text=True, check=True)
    return done.stdout
