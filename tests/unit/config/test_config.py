import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from laserve import config
from laserve.config import Settings, load
from laserve.errors import ConfigError

SECRET = "s3cret-of-the-house"


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    return tmp_path / "laserve.yaml"


def test_defaults_are_valid_and_complete() -> None:
    settings = load()
    assert settings.server.port == 8000
    ours = ["grounded", "harmless", "stepwise"]
    assert [arm.name for arm in settings.arms] == ["loglik", "consensus", "relevance", *ours]
    assert settings.policy.name == "linucb"
    assert settings.storage.retention == "full"


def test_settings_without_arguments_are_the_defaults_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defaults = load()
    monkeypatch.setenv("LASERVE_SERVER__PORT", "1")
    monkeypatch.setenv("PORT", "2")
    assert Settings() == defaults


def test_the_higher_source_wins_name_by_name_and_a_list_is_taken_whole() -> None:
    high = {"server": {"port": 1}, "context": {"tasks": ["a"]}}
    low = {"server": {"port": 2, "host": "h"}, "context": {"tasks": ["b", "c"]}, "log": {"level": "debug"}}
    settings = Settings.of([high, low])
    assert (settings.server.port, settings.server.host) == (1, "h")
    assert (settings.context.tasks, settings.log.level) == (("a",), "debug")


@pytest.mark.parametrize("missing", range(6))
def test_flags_beat_the_environment_beats_port_beats_yaml_beats_the_profile_beats_defaults(
    missing: int, yaml_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each run omits the `missing` highest sources; the highest remaining one must win.
    monkeypatch.setitem(config.PROFILES, "test", {"server": {"port": 5005} if missing <= 4 else {}})
    if missing <= 3:
        yaml_file.write_text("server: {port: 4004}")
    if missing <= 2:
        monkeypatch.setenv("PORT", "3003")
    if missing <= 1:
        monkeypatch.setenv("LASERVE_SERVER__PORT", "2002")
    flags = {"server": {"port": 1001}} if missing <= 0 else None

    settings = load(config=yaml_file if missing <= 3 else None, profile="test", flags=flags)

    assert settings.server.port == (1001, 2002, 3003, 4004, 5005, 8000)[missing]


def test_sources_are_merged_setting_by_setting(yaml_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml_file.write_text("server: {max_body_bytes: 2048, port: 1}\npolicy: {alpha: 2}")
    monkeypatch.setenv("HOST", "0.0.0.0")
    monkeypatch.setenv("LASERVE_POLICY__SEED", "7")

    settings = load(config=yaml_file, profile="fake", flags={"server": {"port": 9}})

    server, policy = settings.server, settings.policy
    assert (server.host, server.port, server.max_body_bytes) == ("0.0.0.0", 9, 2048)
    assert (policy.alpha, policy.seed, policy.epsilon) == (2.0, 7, 0.02)
    assert settings.generation.kind == "fake"


def test_an_empty_host_or_port_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "")
    monkeypatch.setenv("PORT", "")
    assert (load().server.host, load().server.port) == ("127.0.0.1", 8000)


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASERVE_CONTEXT__TASKS", '["chat", "maths"]')
    monkeypatch.setenv("LASERVE_ARMS", '[{"name": "one", "kind": "fake", "options": {"salt": "x"}}]')
    settings = load()
    assert settings.context.tasks == ("chat", "maths")
    assert [(arm.name, arm.options) for arm in settings.arms] == [("one", {"salt": "x"})]


def test_an_empty_yaml_file_changes_nothing(yaml_file: Path) -> None:
    yaml_file.write_text("# all defaults\n")
    assert load(config=yaml_file) == load()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("servr: {}", "servr: no such setting"),
        ("server: {prot: 1}", "server.prot: no such setting"),
        ("server: {port: 70000}", "server.port: write a whole number from 0 to 65535"),
        ("server: {port: web}", "server.port: write a whole number from 0 to 65535, not a text"),
        ("server: {max_concurrent_requests: 0}", "server.max_concurrent_requests: "),
        ("server: {max_body_bytes: 10}", "server.max_body_bytes: "),
        ("server: {heartbeat_s: 0}", "server.heartbeat_s: "),
        ("server: {api_keys: {'two words': x}}", "server.api_keys: write before each colon a name"),
        ("server: {api_keys: {anonymous: x}}", "server.api_keys: 'anonymous' stands for requests without a"),
        ("server: {api_keys: {unauthorized: x}}", "server.api_keys: 'unauthorized' stands for requests"),
        ("server: 5", "server: "),
        ("generation: {kind: gpt}", "generation.kind: write one of: vllm, openai, fake"),
        ("generation: {kind: openai}", "generation: url belongs to kind 'openai'"),
        ("generation: {url: 'http://x'}", "generation: url belongs to kind 'openai'"),
        ("generation: {defaults: {n: 65}}", "generation.defaults.n: "),
        ("generation: {defaults: {temperature: 3}}", "generation.defaults.temperature: "),
        ("generation: {defaults: {top_p: 0}}", "generation.defaults.top_p: "),
        ("generation: {defaults: {max_tokens: 0}}", "generation.defaults.max_tokens: "),
        ("generation: {defaults: {timeout_s: 0}}", "generation.defaults.timeout_s: "),
        ("arms: []", "arms: "),
        ("arms: [{name: a}]", "arms.0.kind: is missing; write a text"),
        ("arms: [{name: a b, kind: fake}]", "arms.0.name: "),
        ("arms: [{name: a, kind: fake, timeout_s: 0}]", "arms.0.timeout_s: "),
        ("arms: [{name: a, kind: fake}, {name: a, kind: fake}]", "arms: names must differ"),
        ("policy: {alpha: -1}", "policy.alpha: "),
        ("policy: {epsilon: 1.5}", "policy.epsilon: "),
        ("policy: {prior_structure: 0}", "policy.prior_structure: "),
        ("policy: {discount: 0}", "policy.discount: "),
        ("policy: {discount: 1.01}", "policy.discount: "),
        ("policy: {on_change: 1.01}", "policy.on_change: "),
        ("policy: {on_change: -0.1}", "policy.on_change: "),
        ("policy: {posterior_scale: -1}", "policy.posterior_scale: "),
        ("policy: {posterior_draws: 0}", "policy.posterior_draws: "),
        ("policy: {posterior_draws: 100000}", "policy.posterior_draws: "),
        ("policy: {gap_scale: 0}", "policy.gap_scale: "),
        ("policy: {prior_reward: 2}", "policy.prior_reward: "),
        ("policy: {reward_scaling: log}", "policy.reward_scaling: "),
        ("policy: {reward_scaling: quantile, prior: p.json}", "policy.prior: is in unscaled rewards"),
        ("policy: {learn_from: stars}", "policy.learn_from: "),
        ("policy: {name: 'fixed:nobody'}", "policy.name: 'fixed:nobody' names no arm; there are: loglik"),
        ("feedback: {wait_s: 0}", "feedback.wait_s: "),
        ("feedback: {wait_s: .inf}", "feedback.wait_s: "),
        ("feedback: {default_reward: 1.5}", "feedback.default_reward: "),
        ("feedback: {default_reward: .nan}", "feedback.default_reward: "),
        (
            "feedback: {default_reward: -0.1}",
            "feedback.default_reward: is outside of feedback.reward_range, 0 ",
        ),
        (
            "feedback: {default_reward: 6, reward_range: [1, 5]}",
            "feedback.default_reward: is outside of feedback.reward_range, 1 to 5",
        ),
        ("feedback: {reward_range: [1, 1]}", "feedback.reward_range: give two numbers, the lower one first"),
        ("feedback: {reward_range: [1, -1]}", "feedback.reward_range: give two numbers, the lower one first"),
        ("feedback: {reward_range: [0, .inf]}", "feedback.reward_range.1: "),
        ("feedback: {reward_range: [.nan, 1]}", "feedback.reward_range.0: "),
        ("feedback: {reward_range: [-1.0e+308, 1.0e+308]}", "feedback.reward_range: "),
        ("feedback: {reward_range: [1]}", "feedback.reward_range: "),
        ("feedback: {reward_range: [1, 2, 3]}", "feedback.reward_range: "),
        (
            "{feedback: {default_reward: 0}, policy: {learn_from: thumb}}",
            "feedback.default_reward: needs feedback.wait_s",
        ),
        (
            "feedback: {wait_s: 60, default_reward: 0}",
            "feedback.default_reward: is about the returned answer alone; set policy.learn_from",
        ),
        (
            "{feedback: {wait_s: 60, default_reward: 0}, policy: {learn_from: references}}",
            "feedback.default_reward: is about the returned answer alone; set policy.learn_from",
        ),
        ("context: {tasks: [a, a]}", "context: tasks must differ"),
        ("context: {tasks: ['a b']}", "context.tasks.0: "),
        ("storage: {kind: tape}", "storage.kind: write one of: sqlite, memory"),
        ("storage: {snapshot_every: 0}", "storage.snapshot_every: "),
        ("storage: {retention: some}", "storage.retention: "),
        ("storage: {retention_days: 0}", "storage.retention_days: "),
        ("log: {level: loud}", "log.level: "),
        ("log: {format: xml}", "log.format: "),
        ("data_dir: [5]", "data_dir: write a path, not a list"),
        ("[1, 2]", "--config: write a mapping of settings, not a list ({path}, line 1"),
        ("just words", "--config: write a mapping of settings, not a text ({path}, line 1"),
        ("a: [", "--config: {path}, line 1, column 5: a bracket is not closed"),
        ("1: 2", "1: "),
    ],
)
def test_a_wrong_setting_in_the_file_is_named(content: str, expected: str, yaml_file: Path) -> None:
    yaml_file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load(config=yaml_file)
    lines = caught.value.message.splitlines()
    assert lines[0].startswith(caught.value.param or "no setting")
    assert any(line.startswith(expected.format(path=yaml_file)) for line in lines), caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "web", "server.port"),
        ("LASERVE_SERVER__PORT", "-1", "server.port"),
        ("LASERVE_SERVER__PROT", "1", "server.prot: no such setting"),
        ("LASERVE_SERVR__PORT", "1", "LASERVE_SERVR__PORT: no such setting"),
        ("LASERVE_SERVER_PORT", "1", "LASERVE_SERVER_PORT: no such setting"),
        ("LASERVE_WHATEVER", "1", "LASERVE_WHATEVER: no such setting"),
        ("LASERVE_ARMS", "loglik", "LASERVE_ARMS"),
        ("LASERVE_ARMS", "[]", "arms: "),
        ("LASERVE_CONTEXT__TASKS", "chat", "tasks"),
        ("LASERVE_POLICY__NAME", "fixed:nobody", "policy.name: 'fixed:nobody'"),
        ("LASERVE_GENERATION__DEFAULTS__N", "0", "generation.defaults.n"),
    ],
)
def test_a_wrong_setting_in_the_environment_is_named(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load()
    assert expected.lower() in caught.value.message.lower()
    assert caught.value.message.startswith(caught.value.param or "no setting")


def test_a_setting_that_must_be_json_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASERVE_CONTEXT__TASKS", "chat")
    with pytest.raises(ConfigError, match="JSON"):
        load()


def test_a_wrong_flag_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^server\.port: "):
        load(flags={"server": {"port": -1}})


def test_an_unknown_profile_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"^--profile: no 'prod'; there are: fake$"):
        load(profile="prod")


def test_each_wrong_setting_gets_a_line_of_its_own(yaml_file: Path) -> None:
    yaml_file.write_text("server: {port: -1, prot: 2}\nlog: {level: loud}")
    with pytest.raises(ConfigError) as caught:
        load(config=yaml_file)
    names = [line.partition(":")[0] for line in caught.value.message.splitlines()]
    assert sorted(names) == ["log.level", "server.port", "server.prot"]


@pytest.mark.parametrize("make", ["absent", "folder"])
def test_a_file_that_cannot_be_read_is_named(make: str, yaml_file: Path) -> None:
    if make == "folder":
        yaml_file.mkdir()
    with pytest.raises(ConfigError) as caught:
        load(config=yaml_file)
    why = {"absent": "No such file or directory", "folder": "Is a directory"}
    assert caught.value.message == f"--config: cannot read {yaml_file}: {why[make]}"


def _with_secrets(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LASERVE_SERVER__API_KEYS", json.dumps({"ann": SECRET}))
    monkeypatch.setenv("LASERVE_GENERATION__KIND", "openai")
    monkeypatch.setenv("LASERVE_GENERATION__URL", "http://vllm:8000")
    monkeypatch.setenv("LASERVE_GENERATION__API_KEY", SECRET)
    monkeypatch.setenv("LASERVE_STORAGE__HASH_KEY", SECRET)
    return load()


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda settings: repr(settings.server),
        lambda settings: f"{settings.generation}",
        lambda settings: settings.model_dump_json(),
        lambda settings: str(settings.model_dump()),
    ],
    ids=["repr", "str", "repr of a section", "str of a section", "json", "dict"],
)
def test_settings_never_show_a_secret(show: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _with_secrets(monkeypatch)
    assert settings.server.api_keys["ann"].get_secret_value() == SECRET
    assert SECRET not in show(settings)


@pytest.mark.parametrize(
    "content",
    [
        f"server: {{api_keys: [{SECRET}]}}",
        f"server: {{api_keys: {{anonymous: {SECRET}}}}}",
        f"server: {{api_keys: {{'two words': {SECRET}}}}}",
        f"server: {{api_keys: {{'{SECRET}=': ann}}}}",
        f"server: {{api_keys: {{ann: [{SECRET}]}}}}",
        f"storage: {{hash_key: [{SECRET}]}}",
        # The parser's own message quotes the wrong line.
        f"storage:\n  hash_key: '{SECRET}\n",
        f"storage:\n  hash_key: {SECRET}: oops\n",
    ],
)
def test_an_error_never_shows_a_secret(content: str, yaml_file: Path) -> None:
    yaml_file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load(config=yaml_file)
    assert SECRET not in caught.value.message


def test_an_error_never_shows_a_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASERVE_SERVER__API_KEYS", f'{{"ann": "{SECRET}')
    with pytest.raises(ConfigError) as caught:
        load()
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("kind", ["reward", "thumb"])
def test_a_default_reward_goes_with_a_window_and_a_kind_that_speaks_of_the_answer_alone(kind: str) -> None:
    window = {"wait_s": 60, "default_reward": 0}
    settings = load(flags={"feedback": window, "policy": {"learn_from": kind}})
    assert (settings.feedback.wait_s, settings.feedback.default_reward) == (60.0, 0.0)


def test_the_range_of_rewards_is_0_to_1_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().feedback.reward_range == (0.0, 1.0)
    monkeypatch.setenv("LASERVE_FEEDBACK__REWARD_RANGE", "[-1, 1]")
    assert load().feedback.reward_range == (-1.0, 1.0)


def test_a_window_needs_no_default_and_no_kind() -> None:
    settings = load(flags={"feedback": {"wait_s": 0.5}})
    assert (settings.feedback.wait_s, settings.feedback.default_reward) == (0.5, None)
    assert (load().feedback.wait_s, load().feedback.default_reward) == (None, None)


def test_settings_cannot_be_changed() -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.server.port = 1
    with pytest.raises(ValidationError):
        settings.server = settings.server


@pytest.mark.parametrize(
    ("storage", "tail"),
    [({}, "data/laserve.db"), ({"path": "elsewhere/log.db"}, "elsewhere/log.db")],
)
def test_the_database_lies_in_the_data_folder_unless_it_has_a_path(
    storage: dict[str, str], tail: str
) -> None:
    settings = load(flags={"data_dir": "data", "storage": storage})
    assert settings.database == Path(tail)


def test_a_tilde_in_the_data_folder_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert load(flags={"data_dir": "~/laserve"}).database == Path("/home/ann/laserve/laserve.db")
