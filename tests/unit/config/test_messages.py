"""Sentences about wrong settings: each names the setting and says what to write."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from laserve.config import ArmSettings, Section, Settings, load
from laserve.config.messages import names
from laserve.config.settings import schema
from laserve.errors import ConfigError

#: Words of pydantic and of Python, which someone who writes a settings file need not know.
FOREIGN = re.compile(
    r"Input should|Field required|Extra inputs|valid (string|integer|number|dict|list|tuple)|instance of"
    r"|\b(None|NoneType|dict|str|int|float|bool|tuple|Literal|True|False|nan|inf|null)\b|Settings\b|pydantic|\[key\]"
)
#: A value of each type of JSON.
JSON_VALUES: dict[str, Any] = {
    "nothing": None,
    "true": True,
    "text": "qqq zzz",
    "number": 0.5,
    "negative": -1,
    "huge": 10**400,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "list": ["qqq zzz"],
    "list of nothing": [None],
    "list of mappings": [{"qqq": 1}],
    "mapping": {"qqq zzz": {"q": 1}},
}


def fields(model: type[Section], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every setting and every section, as the names that lead to it and its field."""
    for name, field in model.model_fields.items():
        yield (*prefix, name), field
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from fields(field.annotation, (*prefix, name))


FIELDS = dict(fields(Settings))


LEAVES = [steps for steps in FIELDS if not any(other[: len(steps)] == steps != other for other in FIELDS)]
SECTIONS = [steps for steps in FIELDS if steps not in LEAVES]


def nested(steps: tuple[str, ...], value: Any) -> dict[str, Any]:
    return everywhere([steps], value)


def everywhere(places: Iterable[tuple[str, ...]], value: Any) -> dict[str, Any]:
    """Settings that have the value in all these places."""
    content: dict[str, Any] = {}
    for *sections, name in places:
        inner = content
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = value
    return content


def refused(path: Path, content: dict[str, Any]) -> list[str]:
    """Names of the settings that are refused, each in sentences of laserve."""
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        load(config=path)
    except ConfigError as error:
        lines = error.message.replace(str(path), "").splitlines()
        assert [line for line in lines if FOREIGN.search(line) or not line.partition(": ")[2]] == []
        names = [line.partition(": ")[0] for line in lines]
        assert names[0] == error.param
        return names
    return []


@pytest.mark.parametrize("value", JSON_VALUES.values(), ids=JSON_VALUES)
def test_no_wrong_value_is_told_in_words_of_a_library(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "laserve.yaml"
    wrong = refused(path, everywhere(LEAVES, value))
    assert len(wrong) > len(LEAVES) / 3
    known = [".".join(steps) for steps in LEAVES]
    assert [name for name in wrong if not any(f"{name}.".startswith(f"{each}.") for each in known)] == []
    for steps in SECTIONS:
        told = refused(path, nested(steps, value))
        assert value is None or told
        assert [name for name in told if not f"{name}.".startswith(".".join(steps) + ".")] == []


@pytest.mark.parametrize("value", JSON_VALUES.values(), ids=JSON_VALUES)
def test_no_wrong_value_of_an_arm_is_told_in_words_of_a_library(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "laserve.yaml"
    wrong = refused(path, {"arms": [dict.fromkeys(ArmSettings.model_fields, value)]})
    assert len(wrong) > 2
    assert [name for name in wrong if not name.startswith("arms.0.")] == []
    assert all(name.startswith("arms.0") for name in refused(path, {"arms": [value]}) or ["no arm"])


@pytest.mark.parametrize(
    "value", [float("inf"), float("-inf"), float("nan"), "inf", "nan", "Infinity", "1e999"]
)
def test_every_number_must_be_finite(
    value: float | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "laserve.yaml"
    numbers = [steps for steps in LEAVES if re.search("int|float", str(FIELDS[steps].annotation))]
    numbers.remove(("feedback", "reward_range"))
    assert len(numbers) > 25
    arm = dict.fromkeys(("timeout_s", "circuit_failures", "circuit_open_s"), value)
    content = everywhere(numbers, value) | {"arms": [{"name": "a", "kind": "fake"} | arm]}
    content["feedback"]["reward_range"] = [0, value]
    wrong = {".".join(steps) for steps in numbers} | {f"arms.0.{name}" for name in arm}
    assert set(refused(path, content)) == wrong | {"feedback.reward_range.1"}
    monkeypatch.setenv("LASERVE_FEEDBACK__REWARD_RANGE", json.dumps([value, 1]))
    with pytest.raises(ConfigError, match=r"^feedback\.reward_range\.0: write a finite number"):
        load()


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1e999", "-1.0e+999"])
def test_numbers_in_options_must_be_finite(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "laserve.yaml"
    path.write_text(f"arms: [{{name: a, kind: fake, options: {{a: [1, {{b: {number}}}]}}}}]")
    with pytest.raises(ConfigError, match=r"^arms\.0\.options\.a\.1\.b: write a finite number"):
        load(config=path)
    path.write_text(f"generation: {{engine_args: {{a: {number}}}}}")
    with pytest.raises(ConfigError, match=r"^generation\.engine_args\.a: write a finite number"):
        load(config=path)
    monkeypatch.setenv("LASERVE_GENERATION__ENGINE_ARGS", '{"a": -Infinity}')
    with pytest.raises(ConfigError, match=r"^generation\.engine_args\.a: write a finite number"):
        load()


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("server.port", 70000, "write a whole number from 0 to 65535"),
        ("server.port", "web", "write a whole number from 0 to 65535, not a text"),
        ("server.port", True, "write a whole number from 0 to 65535, not true or false"),
        ("server.port", 0.5, "write a whole number from 0 to 65535"),
        ("server.port", None, "is empty; write a whole number from 0 to 65535"),
        ("server.max_body_bytes", 1, "write a whole number of at least 1024"),
        ("server.drain_s", 0, "write a finite number above 0 and at most 3600"),
        ("server.heartbeat_s", 0, "write a finite number above 0"),
        ("policy.alpha", [1], "write a finite number of at least 0, not a list"),
        (
            "storage",
            "sqlite",
            "write a mapping of settings (kind: .., path: .., max_bytes: .., ..), not a text",
        ),
        (
            "storage",
            ["sqlite"],
            "write a mapping of settings (kind: .., path: .., max_bytes: .., ..), not a list",
        ),
        ("log", 5, "write a mapping of settings (level: .., format: ..), not a number"),
        ("storage.kind", "tape", "write one of: sqlite, memory"),
        ("storage.kind", ["memory"], "write one of: sqlite, memory, not a list"),
        ("storage.path", {"a": 1}, "write a path, not a mapping"),
        ("generation.model", ["a"], "write a text, not a list"),
        ("generation.engine_args", ["a"], "write a mapping (name: ..), not a list"),
        ("scoring.allow_kinds", "vllm", "write a list of texts ([.., ..]), not a text"),
        ("scoring.allow_folders", "models", "write a list of paths ([.., ..]), not a text"),
        ("context.tasks", "chat", "write a list of names ([.., ..]), not a text"),
        ("feedback.reward_range", [1], "write a list of 2 numbers"),
        ("feedback.reward_range", [1, 2, 3], "write a list of 2 numbers"),
        (
            "arms",
            {"a": 1},
            "write a list of one or more mappings ([{name: .., kind: .., options: .., ..}]), not a",
        ),
        ("arms", [], "write a list of one or more mappings"),
        ("server.api_keys.ann", "", "is empty; write a text"),
    ],
)
def test_a_sentence_says_what_to_write_bounds_included(
    setting: str, value: Any, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "laserve.yaml"
    path.write_text(json.dumps(nested(tuple(setting.split(".")), value)))
    with pytest.raises(ConfigError) as caught:
        load(config=path)
    assert caught.value.message.startswith(f"{setting}: {sentence}")
    assert caught.value.param == setting


def test_a_number_from_the_environment_in_place_of_a_text_is_to_be_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LASERVE_ARMS", '[{"name": "a", "kind": 5}]')
    with pytest.raises(
        ConfigError, match=r"^arms\.0\.kind: write a text in quotes, not a number \(LASERVE_ARMS\)$"
    ):
        load()


@pytest.mark.parametrize(
    ("setting", "near"),
    [
        ("server.prot", "did you mean server.port?"),
        ("sever", "did you mean server?"),
        ("retention", "did you mean storage.retention?"),
        ("generation.temperature", "did you mean generation.defaults.temperature?"),
        ("generation.defaults.max-tokens", "did you mean generation.defaults.max_tokens?"),
        ("policy.kind", "did you mean generation.kind or storage.kind?"),
        ("policy.zzz", ""),
    ],
)
def test_an_unknown_setting_is_told_with_the_nearest_names(setting: str, near: str, tmp_path: Path) -> None:
    path = tmp_path / "laserve.yaml"
    path.write_text(json.dumps(nested(tuple(setting.split(".")), 1)))
    with pytest.raises(ConfigError) as caught:
        load(config=path)
    expected = f"{setting}: no such setting" + (f"; {near}" if near else "")
    assert caught.value.message.startswith(f"{expected} ({path}, line 1")


def test_the_names_of_all_settings_are_those_of_the_fields() -> None:
    assert sorted(names(schema())) == sorted(".".join(steps) for steps in LEAVES)
