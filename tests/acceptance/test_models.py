"""The provision of models of a hub: fetched by one command, served without a network afterwards."""

import os
import resource
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiny
from hubs import COMMIT, Hub, hub
from processes import LASERVE, serving

NAME = "orrin/tiny-judge"
#: Nobody listens on this port.
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small reward model, as it is on a hub: with a pickle, code and copies in other formats beside it."""
    import torch
    from transformers import AutoModelForSequenceClassification

    folder = tiny.decoder(tmp_path_factory.mktemp("judge"))
    torch.manual_seed(tiny.SEED)
    AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1).save_pretrained(folder)
    for name in (
        "pytorch_model.bin",
        "modeling_judge.py",
        "README.md",
        "onnx/model.onnx",
        "onnx/config.json",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not for us")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder for Hugging Face's cache."""
    return tmp_path / "huggingface"


@pytest.fixture
def near(judge: Path) -> Iterator[Hub]:
    with hub({NAME: judge}) as running:
        yield running


def settings(tmp_path: Path, **arm: Any) -> Path:
    """Settings with an arm on a hub's model."""
    options = {"kind": "transformers", "options": {"model": NAME}} | arm
    file = tmp_path / "settings.yaml"
    content = {
        "generation": {"kind": "fake"},
        "context": {"encoder": "hash"},
        "arms": [{"name": "consensus", "kind": "consensus"}, {"name": "judge", **options}],
    }
    file.write_text(yaml.safe_dump(content))
    return file


def models(
    config: Path, home: Path, *options: str, url: str = NOBODY, limit: int | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """`laserve models` with an own cache; `limit` is the largest size of a file, in bytes."""

    def confine() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [*LASERVE, "models", "--config", str(config), *options],
        env=os.environ | {"HF_HUB_OFFLINE": "0", "HF_HOME": str(home), "HF_ENDPOINT": url} | env,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=confine,
    )


def test_a_hubs_model_is_fetched_once_and_then_served_by_its_name_without_a_network(
    tmp_path: Path, home: Path, near: Hub
) -> None:
    config = settings(tmp_path)
    fetched = models(config, home, "--download", url=near.url)
    folder = home / "hub" / "models--orrin--tiny-judge" / "snapshots" / COMMIT
    assert (fetched.returncode, fetched.stdout) == (0, f"{NAME}: {folder}\n"), fetched.stderr
    assert f"fetching {NAME} (" in fetched.stderr
    assert sorted(file.rpartition("/")[2] for file in near.sent) == sorted(
        file.name for file in folder.iterdir()
    )
    assert {file.suffix for file in folder.iterdir()} <= {".safetensors", ".json", ".jinja", ".txt"}

    again = models(config, home, "--download")  # the hub's address is that of nobody
    assert (again.returncode, again.stdout) == (0, fetched.stdout)

    offline = {"HF_HOME": str(home), "HF_ENDPOINT": NOBODY, "LASERVE_DATA_DIR": str(tmp_path / "data")}
    with serving(tmp_path / "log", "--config", str(config), env=offline) as server:
        assert server.client.get("/readyz").json()["arms"] == {"consensus": "ready", "judge": "ready"}
        answer = server.client.post("/generate", json={"question": "Who?", "arm": "judge"})
        assert answer.json()["arm"] == "judge"


def test_without_the_option_a_hubs_model_is_missing_and_nothing_is_fetched(
    tmp_path: Path, home: Path, near: Hub
) -> None:
    found = models(settings(tmp_path), home, url=near.url)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == (
        f"laserve: arms.1.options.model: there is no folder {NAME}, and no model of this name in the cache "
        f"{home / 'hub'}; fetch it with: laserve models --config FILE --download\n"
    )
    assert near.sent == []


def test_a_generator_that_is_not_in_the_cache_stops_the_start_with_the_command_that_fetches_it(
    tmp_path: Path, home: Path
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump({"generation": {"model": NAME}, "context": {"encoder": "hash"}}))
    ended = subprocess.run(
        [*LASERVE, "serve", "--port", "0", "--config", str(config)],
        env=os.environ | {"HF_HOME": str(home), "LASERVE_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"laserve: generation.model: there is no folder {NAME}, and no model of this name")
    assert line.endswith("; fetch it with: laserve models --config FILE --download")
    assert not (tmp_path / "data").exists()


def test_an_arm_that_is_not_in_the_cache_is_left_out_with_the_command_that_fetches_it(
    tmp_path: Path, home: Path
) -> None:
    env = {"HF_HOME": str(home), "LASERVE_DATA_DIR": str(tmp_path / "data")}
    with serving(tmp_path / "log", "--config", str(settings(tmp_path)), env=env) as server:
        ready = server.client.get("/readyz").json()
    assert ready["arms"] == {"consensus": "ready", "judge": "failed"}
    assert ready["why"]["judge"].endswith("fetch it with: laserve models --config FILE --download")


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The last line, which is laserve's own; bars of the hub's client may stand before it."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1].removeprefix("laserve: arms.1.options.model: ")


def test_an_unreachable_hub_is_one_sentence(tmp_path: Path, home: Path) -> None:
    line = said(models(settings(tmp_path), home, "--download"))
    assert line.startswith(f"{NOBODY} cannot be reached (")
    assert line.endswith(f"; fetch {NAME} where it can")


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        (
            {"model": "orrin/nothing"},
            "{url} has no model orrin/nothing, or it is private and needs a token in HF_TOKEN",
        ),
        ({"model": "a..b"}, "a..b is no name of a model on a hub"),
    ],
)
def test_an_unknown_model_is_one_sentence(
    named: Mapping[str, Any], sentence: str, tmp_path: Path, home: Path, near: Hub
) -> None:
    done = models(settings(tmp_path, options=named), home, "--download", url=near.url)
    assert said(done) == sentence.format(url=near.url)


def test_an_unknown_revision_is_one_sentence(tmp_path: Path, home: Path, near: Hub) -> None:
    arm = {"kind": "vllm", "options": {"model": NAME, "engine_args": {"revision": "v9"}}}
    done = models(settings(tmp_path, **arm), home, "--download", url=near.url)
    assert said(done) == f"{NAME} has no revision v9 at {near.url}"


def test_a_gated_model_is_one_sentence(tmp_path: Path, home: Path, judge: Path) -> None:
    with hub({NAME: judge}, gated=frozenset({NAME})) as running:
        done = models(settings(tmp_path), home, "--download", url=running.url)
    assert said(done) == (
        f"{NAME} is gated: accept its terms at {running.url}/{NAME}, "
        "and set HF_TOKEN to a token of that account"
    )


def test_a_hub_that_fails_is_one_sentence(tmp_path: Path, home: Path, judge: Path) -> None:
    with hub({NAME: judge}, broken=True) as running:
        done = models(settings(tmp_path), home, "--download", url=running.url)
    assert said(done) == f"{running.url} answered 503 about {NAME}; try again later"


def test_pickled_weights_are_not_fetched(tmp_path: Path, home: Path, judge: Path) -> None:
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for name in ("config.json", "pytorch_model.bin"):
        (pickled / name).write_bytes((judge / name).read_bytes())
    with hub({NAME: pickled}) as running:
        done = models(settings(tmp_path), home, "--download", url=running.url)
    assert (
        said(done)
        == f"{NAME} has no safetensors on the hub; pickled weights can run any code, and are not fetched"
    )
    assert running.sent == []


def test_a_full_disk_is_one_sentence_and_what_is_there_counts_as_missing(
    tmp_path: Path, home: Path, near: Hub
) -> None:
    config = settings(tmp_path)
    line = said(models(config, home, "--download", url=near.url, limit=100_000))
    assert line == (
        f"{NAME} does not fit on the disk of {home / 'hub'} (File too large); "
        "make room, or set HF_HOME to a folder on another disk"
    )
    assert models(config, home).returncode == 1
    assert models(config, home, "--download", url=near.url).returncode == 0


def test_a_download_is_refused_where_the_environment_forbids_it(
    tmp_path: Path, home: Path, near: Hub
) -> None:
    done = models(settings(tmp_path), home, "--download", url=near.url, HF_HUB_OFFLINE="1")
    assert said(done) == "HF_HUB_OFFLINE is set, so nothing is fetched; unset it for this command"
    assert near.sent == []
