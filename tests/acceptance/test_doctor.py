"""`laserve doctor` as a command: what it prints, its exit status, and that it leaves nothing behind."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from processes import LASERVE, serving

FAKE = {"generation": {"kind": "fake"}, "context": {"encoder": "hash"}, "server": {"port": 0}}
ONE = {"name": "one", "kind": "fake"}


def written(folder: Path, **sections: Any) -> Path:
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(FAKE | {"arms": [ONE]} | sections))
    return file


def run(command: str, folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command of laserve with a data folder below `folder`."""
    variables = os.environ | {"LASERVE_DATA_DIR": str(folder / "data")} | env
    return subprocess.run(
        [*LASERVE, command, *options], env=variables, capture_output=True, text=True, check=False
    )


def checks(file: Path) -> dict[str, dict[str, str]]:
    return {check["check"]: check for check in json.loads(file.read_text())["checks"]}


def test_a_configuration_that_can_start_is_examined_without_a_trace(tmp_path: Path) -> None:
    config, out = written(tmp_path), tmp_path / "report.json"
    done = run("doctor", tmp_path, "--config", str(config), "--json", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("Memory: about 90 MiB", "service process", "Checks", "data folder", "127.0.0.1"):
        assert words in done.stdout
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.json", "settings.yaml"]
    report = json.loads(out.read_text())
    assert set(report) == {"status", "machine", "needs", "totals", "checks"}
    assert report["totals"] == {"memory": 90 * 2**20, "disk": 0}
    assert all(set(check) == {"check", "status", "fact", "remedy"} for check in report["checks"])
    assert report["machine"]["memory"] > 0


def test_the_profile_of_fakes_is_examined_too(tmp_path: Path) -> None:
    done = run("doctor", tmp_path, "--profile", "fake", LASERVE_PORT="0")
    assert done.returncode == 0, done.stdout
    assert "lost when the process ends" in " ".join(done.stdout.split())


def test_a_port_in_use_is_an_error_and_the_exit_status_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = written(tmp_path, server={"port": port})
        done = run("doctor", tmp_path, "--config", str(config), "--json", str(tmp_path / "out.json"))
    assert done.returncode == 1
    assert done.stderr == ""
    assert checks(tmp_path / "out.json")["port"]["status"] == "error"
    assert json.loads((tmp_path / "out.json").read_text())["status"] == "error"
    assert "Address already in use" in " ".join(done.stdout.split())


def test_beside_a_running_service_its_database_and_its_port_are_taken(tmp_path: Path) -> None:
    config, out = written(tmp_path), tmp_path / "out.json"
    env = {"LASERVE_DATA_DIR": str(tmp_path / "data")}
    with serving(tmp_path / "log", "--config", str(config), env=env) as server:
        port = server.url.rpartition(":")[2]
        done = run("doctor", tmp_path, "--config", str(config), "--json", str(out), LASERVE_PORT=port)
        assert done.returncode == 1
        errors = {name for name, check in checks(out).items() if check["status"] == "error"}
        assert errors == {"port", "database"}
        answer = server.client.post("/generate", json={"prompt": "a"})
        assert answer.status_code == 200
    assert run("doctor", tmp_path, "--config", str(config)).returncode == 0


def test_a_warning_stops_nothing(tmp_path: Path) -> None:
    gone = {"name": "gone", "kind": "transformers", "options": {"model": str(tmp_path / "gone")}}
    config, out = written(tmp_path, arms=[ONE, gone]), tmp_path / "out.json"
    done = run("doctor", tmp_path, "--config", str(config), "--json", str(out))
    assert done.returncode == 0
    assert json.loads(out.read_text())["status"] == "warning"
    assert checks(out)["models"]["fact"] == f"arms.1.options.model: there is no folder {tmp_path / 'gone'}"


WRONG: dict[str, dict[str, Any]] = {
    "an unknown setting": {"sever": {"port": 1}},
    "a policy": {"policy": {"name": "linucb2"}},
    "a kind": {"arms": [{"name": "one", "kind": "magic"}]},
    "an option": {"arms": [{"name": "one", "kind": "fake", "options": {"colour": "red"}}]},
    "a prior": {"policy": {"prior": "/gone.json"}},
    "an argument of the fake": {"generation": {"kind": "fake", "engine_args": {"colour": "red"}}},
}


@pytest.mark.parametrize("sections", WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_shown_as_serve_shows_it(tmp_path: Path, sections: dict[str, Any]) -> None:
    config = str(written(tmp_path, **sections))
    examined, served = (run(command, tmp_path, "--config", config) for command in ("doctor", "serve"))
    assert (examined.returncode, examined.stdout) == (1, "")
    assert examined.stderr == served.stderr
    assert examined.stderr.startswith("laserve: ")
    assert not (tmp_path / "data").exists()


def test_a_memory_that_is_too_small_is_an_error(tmp_path: Path) -> None:
    """A model of 17 GB, of which only the configuration is here, on a cache of 1 TiB."""
    model = tmp_path / "model"
    model.mkdir()
    sizes = {
        "hidden_size": 4096,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    }
    sizes["num_key_value_heads"] = 8
    more = {"vocab_size": 151936, "intermediate_size": 12288, "max_position_embeddings": 40960}
    (model / "config.json").write_text(json.dumps(sizes | more))
    generation = {"kind": "vllm", "model": str(model), "kv_cache_bytes": 2**40}
    config, out = written(tmp_path, generation=generation), tmp_path / "out.json"
    done = run("doctor", tmp_path, "--config", str(config), "--json", str(out))
    assert done.returncode == 1
    assert checks(out)["memory"]["status"] == "error"
    weights = {part["part"]: part["bytes"] for part in json.loads(out.read_text())["needs"]}
    assert weights["generator weights"] == pytest.approx(16.4e9, rel=0.02)  # Qwen3-8B's shape
