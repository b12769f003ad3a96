"""Settings from environment variables."""

import pytest

from laserve.config import load
from laserve.errors import ConfigError

#: What Kubernetes sets in every container for a Service named laserve, and for one named laserve-web.
KUBERNETES = {
    "LASERVE_SERVICE_HOST": "10.0.0.1",
    "LASERVE_SERVICE_PORT": "8000",
    "LASERVE_SERVICE_PORT_HTTP": "8000",
    "LASERVE_PORT": "tcp://10.0.0.1:8000",
    "LASERVE_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "LASERVE_PORT_8000_TCP_PROTO": "tcp",
    "LASERVE_PORT_8000_TCP_PORT": "8000",
    "LASERVE_PORT_8000_TCP_ADDR": "10.0.0.1",
    "LASERVE_WEB_SERVICE_HOST": "10.0.0.2",
    "LASERVE_WEB_SERVICE_PORT": "80",
    "LASERVE_WEB_PORT": "udp://10.0.0.2:80",
    "LASERVE_WEB_PORT_80_UDP_ADDR": "10.0.0.2",
}


@pytest.mark.parametrize("missing", range(5))
def test_the_more_specific_name_of_host_and_port_wins_and_flags_win_over_all(
    missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each run omits the `missing` highest sources; the highest remaining one must win.
    for rank, prefix in ((3, ""), (2, "LASERVE_"), (1, "LASERVE_SERVER__")):
        if missing <= rank:
            monkeypatch.setenv(f"{prefix}PORT", str(rank))
            monkeypatch.setenv(f"{prefix}HOST", f"host{rank}")
    flags = {"server": {"port": 0, "host": "host0"}} if missing == 0 else {}
    server = load(flags=flags).server
    assert (server.port, server.host) == ((missing, f"host{missing}") if missing < 4 else (8000, "127.0.0.1"))


def test_each_of_host_and_port_has_its_own_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LASERVE_SERVER__HOST": "a", "LASERVE_HOST": "b", "PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert (load().server.host, load().server.port) == ("a", 1)


def test_variables_of_kubernetes_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load()
    for name, value in KUBERNETES.items():
        monkeypatch.setenv(name, value)
    assert load() == defaults
    monkeypatch.setenv("PORT", "9000")
    assert load().server.port == 9000


def test_the_client_s_key_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load()
    monkeypatch.setenv("LASERVE_API_KEY", "key")
    assert load() == defaults


@pytest.mark.parametrize(
    "name",
    [
        "HOST",
        "PORT",
        "LASERVE_HOST",
        "LASERVE_PORT",
        "LASERVE_DATA_DIR",
        "LASERVE_ARMS",
        "LASERVE_STORAGE",
        "LASERVE_STORAGE__KIND",
        "LASERVE_CONTEXT__TASKS",
        "LASERVE_GENERATION__DEFAULTS__N",
        "LASERVE_NO_SUCH_SETTING",
    ],
)
def test_an_empty_variable_is_as_good_as_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load()
    monkeypatch.setenv(name, "")
    assert load() == defaults


def test_an_empty_variable_leaves_the_next_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASERVE_SERVER__PORT", "")
    monkeypatch.setenv("LASERVE_PORT", "")
    monkeypatch.setenv("PORT", "9000")
    assert load().server.port == 9000


@pytest.mark.parametrize("name", ["laserve_storage__kind", "Laserve_Storage__KIND", "LASERVE_storage__kind"])
def test_a_name_may_be_in_any_case_but_in_one_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "memory")
    assert load().storage.kind == "memory"
    monkeypatch.setenv("LASERVE_STORAGE__KIND", "memory")
    assert load().storage.kind == "memory"
    monkeypatch.setenv("LASERVE_STORAGE__KIND", "sqlite")
    with pytest.raises(
        ConfigError, match=r"is set in another spelling too \(LASERVE_STORAGE__KIND\)"
    ) as caught:
        load()
    assert caught.value.param is not None
    assert caught.value.param.upper() == "LASERVE_STORAGE__KIND"


@pytest.mark.parametrize("name", ["laserve_port", "LASERVE_Port"])
def test_the_short_names_may_be_in_any_case_after_the_prefix(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "9000")
    assert load().server.port == 9000


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("LASERVE_SERVR__PORT", "LASERVE_SERVER__PORT"),
        ("LASERVE_SERVER_PORT", "LASERVE_SERVER__PORT"),
        ("LASERVE_GENERATION_MODEL", "LASERVE_GENERATION__MODEL"),
        ("laserve_hosts", "LASERVE_HOST"),
        ("LASERVE_DATA_DIR__PATH", "LASERVE_DATA_DIR"),
        ("LASERVE_PORT__X", "LASERVE_PORT"),
        ("LASERVE_QQQ", ""),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_settings(
    name: str, near: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError) as caught:
        load()
    assert caught.value.param == name.upper()
    assert caught.value.message.startswith(f"{name.upper()}: no such setting")
    assert ("did you mean" in caught.value.message) == bool(near)
    assert near in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LASERVE_ARMS", "loglik"),
        ("LASERVE_STORAGE", "sqlite"),
        ("LASERVE_CONTEXT__TASKS", "chat"),
        ("laserve_server__api_keys", "s3cret"),
        pytest.param("LASERVE_ARMS", "[" * 100_000, id="nested too deeply"),
    ],
)
def test_a_list_or_mapping_that_is_no_json_is_named_without_its_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LASERVE_STORAGE__RETENTION", "hash")
    monkeypatch.setenv("LASERVE_SERVER__PORT", "1")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load()
    assert caught.value.message == f'{name}: write JSON: a list ["..", ..] or a mapping {{"name": ..}}'
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LASERVE_ARMS", '[{"name": "a", "kind": "fake", "name": "b"}]'),
        ("LASERVE_LOG", '{"name": "info", "name": "debug"}'),
        ("LASERVE_SERVER__API_KEYS", '{"name": "s3cret", "name": "s3cret"}'),
    ],
)
def test_a_name_that_is_given_twice_in_json_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load()
    assert caught.value.message == f"{name}: name is given twice; write it once"


@pytest.mark.parametrize("name", ["PORT", "LASERVE_PORT", "LASERVE_SERVER__PORT", "laserve_server__port"])
def test_a_wrong_value_is_refused_with_the_name_of_its_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "tcp")
    with pytest.raises(ConfigError) as caught:
        load()
    assert caught.value.message == (f"server.port: write a whole number from 0 to 65535, not a text ({name})")
