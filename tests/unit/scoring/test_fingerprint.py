import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from laserve.scoring import python
from laserve.scoring.fingerprint import arm_fingerprint
from laserve.scoring.http import judge

JUDGE: dict[str, Any] = {"url": "http://host:8000"}


def adapter(folder: Path, value: float = 1.0) -> str:
    folder.mkdir()
    save_file({"w": np.full((2, 2), value)}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": 2}))
    return str(folder)


@pytest.mark.parametrize(
    ("kind", "base", "change"),
    [
        ("fake", {}, {"salt": "a"}),
        ("vllm", {"adapter": "grounded"}, {"adapter": "harmless"}),
        ("vllm", {"adapter": "grounded"}, {"engine_args": {"dtype": "float32"}}),
        ("vllm", {"adapter": "grounded"}, {"max_model_len": 512}),
        ("relevance", {}, {"window_words": 200}),
        ("judge", JUDGE, {"model": "m"}),
        ("judge", JUDGE, {"prompt": "Grade {answer}"}),
        ("judge", JUDGE, {"url": "http://other:8000"}),
        ("judge", JUDGE, {"extra_body": {"top_k": 5}}),
    ],
)
def test_options_that_change_scores_make_another_reward_model(
    kind: str, base: dict[str, Any], change: dict[str, Any]
) -> None:
    assert None not in (arm_fingerprint(kind, base), arm_fingerprint(kind, base | change))
    assert arm_fingerprint(kind, base) != arm_fingerprint(kind, base | change)


@pytest.mark.parametrize(
    ("kind", "base", "change"),
    [
        ("fake", {}, {"delay_s": 1.0, "fail_after": 3, "fault": "hang", "fault_file": "/x"}),
        ("vllm", {"adapter": "grounded"}, {"engine_args": {"max_num_batched_tokens": 64}}),
        ("judge", JUDGE, {"api_key": "secret", "concurrency": 2}),
        ("judge", JUDGE, {"extra_body": {"api_key": "secret"}}),
        ("judge", JUDGE, {"scale": [1, 10], "prompt": judge.PROMPT, "model": None}),
        ("relevance", {}, {"window_words": 100}),
    ],
)
def test_speed_faults_secrets_and_defaults_that_are_spelled_out_do_not(
    kind: str, base: dict[str, Any], change: dict[str, Any]
) -> None:
    assert arm_fingerprint(kind, base) == arm_fingerprint(kind, base | change)


@pytest.mark.parametrize(
    ("kind", "options", "known"),
    [
        ("fake", {"salt": "a"}, "60b9c519cbed5b74"),
        ("relevance", {"window_words": 200}, "6d99884156b13f24"),
        ("judge", JUDGE | {"api_key": "s", "concurrency": 2}, "af705862820bc14a"),
        (
            "judge",
            {"url": "https://user:pw@Host:8000/v1/?key=s", "model": "m", "scale": [1, 5]},
            "c4fbdd3b48495368",
        ),
        (
            "judge",
            JUDGE
            | {
                "extra_body": {
                    "top_k": 5,
                    "api_key": "s",
                    "headers": {"a": "b"},
                    "stop": ["a", "b"],
                    "chat_template_kwargs": {"x": True},
                }
            },
            "68d1ff137b52e7b8",
        ),
        ("judge", JUDGE | {"prompt": "Grade {answer}, see http://a.b/c?x=1&y=2 (a@b)"}, "8e3a8f6c681d0ccd"),
    ],
)
def test_a_fingerprint_in_a_log_of_before_is_still_the_one_of_the_same_options(
    kind: str, options: dict[str, Any], known: str
) -> None:
    assert arm_fingerprint(kind, options) == known


@pytest.mark.parametrize(
    "secret", [{"X-Api-Key": "s"}, {"auth": ["user", "s"]}, {"proxy": "http://u:s@proxy"}]
)
def test_a_secret_in_the_options_of_a_plugin_is_not_in_its_fingerprint(
    secret: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python, "find", lambda name: adapter)
    other = json.loads(json.dumps(secret).replace("s@", "t@").replace('"s"', '"t"'))
    assert other != secret
    one, two = ({"name": "brevity", "nested": [options], **options} for options in (secret, other))
    assert arm_fingerprint("python", one) == arm_fingerprint("python", two) is not None


def test_an_adapter_is_known_by_what_is_in_its_folder(tmp_path: Path) -> None:
    one, same, other = adapter(tmp_path / "a"), adapter(tmp_path / "b"), adapter(tmp_path / "c", 2.0)
    assert arm_fingerprint("vllm", {"adapter": one}) == arm_fingerprint("vllm", {"adapter": same})
    assert arm_fingerprint("vllm", {"adapter": one}) != arm_fingerprint("vllm", {"adapter": other})


def test_what_cannot_be_made_or_read_is_unknown() -> None:
    assert arm_fingerprint("unheard", {}) is None
    assert arm_fingerprint("python", {"name": "unheard"}) is None
    assert arm_fingerprint("vllm", {"adapter": "/no/such/folder"}) is None
    assert arm_fingerprint("remote", {"url": "http://host", "tokenizer": "/no/such/folder"}) is None


def test_another_release_of_a_plugin_is_another_reward_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "find", lambda name: adapter)
    fingerprints = []
    for release in ("brevity 1.0", "brevity 1.0", "brevity 1.1"):
        monkeypatch.setattr(python, "release", lambda name, release=release: release)
        fingerprints.append(arm_fingerprint("python", {"name": "brevity"}))
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
