"""Reading of the YAML file of settings."""

import codecs
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from laserve.config import Settings, load
from laserve.config.secrets import is_secret
from laserve.errors import ConfigError

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=30)
#: Names whose values are typed; those of secrets stay texts as written.
NAMES = TEXTS.filter(lambda name: bool(name) and not is_secret(name))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    return tmp_path / "laserve.yaml"


def read(yaml_file: Path, content: str) -> Settings:
    yaml_file.write_text(content, encoding="utf-8")
    return load(config=yaml_file)


def refused(yaml_file: Path, content: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(yaml_file, content)
    return caught.value


@pytest.mark.parametrize(
    ("written", "overlap"),
    [
        ("on", "on"),
        ("off", "off"),
        ("'on'", "on"),
        ("auto", "auto"),
        ("yes", "on"),
        ("No", "off"),
        ("true", "on"),
        ("FALSE", "off"),
    ],
)
def test_overlap_may_be_on_and_off_which_yaml_reads_as_true_and_false(
    written: str, overlap: str, yaml_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (arm,) = read(yaml_file, f"arms: [{{name: a, kind: fake, overlap: {written}}}]").arms
    assert arm.overlap == overlap
    given = json.dumps([{"name": "a", "kind": "fake", "overlap": overlap == "on"}])
    monkeypatch.setenv("LASERVE_ARMS", given)
    assert load().arms[0].overlap == ("on" if overlap == "on" else "off")


@pytest.mark.parametrize(
    "text",
    ["on", "no", "true", "123", "1.10", "0755", "1e3", "0x10", "1_000", "2024-01-01", "8:30", ".inf", "="],
)
def test_a_setting_that_asks_for_a_text_takes_it_as_written(text: str, yaml_file: Path) -> None:
    assert read(yaml_file, f"generation: {{model: {text}}}").generation.model == text
    assert read(yaml_file, f"data_dir: {text}").data_dir == Path(text)
    assert read(yaml_file, f"scoring: {{allow_kinds: [{text}]}}").scoring.allow_kinds == (text,)
    key = read(yaml_file, f"storage: {{hash_key: {text}}}").storage.hash_key
    assert key is not None
    assert key.get_secret_value() == text


def test_names_are_texts_as_written(yaml_file: Path) -> None:
    keys = read(yaml_file, "server:\n  api_keys:\n    no: a\n    1.10: 0123").server.api_keys
    assert {name: key.get_secret_value() for name, key in keys.items()} == {"no": "a", "1.10": "0123"}
    (arm,) = read(yaml_file, "arms: [{name: off, kind: fake, options: {on: 1}}]").arms
    assert (arm.name, arm.options) == ("off", {"on": 1})
    assert read(yaml_file, "context: {tasks: [on, 123]}").context.tasks == ("on", "123")


@pytest.mark.parametrize(
    ("written", "port"), [("8080", 8080), ("0x1F90", 8080), ("8_080", 8080), ("0755", 755), ("'80'", 80)]
)
def test_a_whole_number_may_be_written_in_these_forms(written: str, port: int, yaml_file: Path) -> None:
    assert read(yaml_file, f"server: {{port: {written}}}").server.port == port


@pytest.mark.parametrize("written", ["1e-3", "1E-3", "1.0e-3", "+.001", "0.001", "'1e-3'"])
def test_a_number_may_have_an_exponent_without_a_point(written: str, yaml_file: Path) -> None:
    assert read(yaml_file, f"policy: {{discount: {written}}}").policy.discount == 0.001


@pytest.mark.parametrize("written", ["yes", "true", "off", "8:30", "2024-01-01", "[1]", "{a: 1}"])
def test_true_false_and_numbers_in_base_60_are_no_numbers(written: str, yaml_file: Path) -> None:
    for setting in ("server.port", "storage.retention_days"):
        section, name = setting.split(".")
        assert refused(yaml_file, f"{section}: {{{name}: {written}}}").param == setting


def test_an_option_is_what_yaml_reads_but_for_dates_base_60_and_secrets(yaml_file: Path) -> None:
    content = """
    arms:
      - name: a
        kind: fake
        options: {a: no, b: 1e-3, c: 8:30, d: 2024-01-01, e: 0755, f: 0x10, g: ~, api_key: 012, h: [on, 1.50]}
    """
    (arm,) = read(yaml_file, content).arms
    assert arm.options == {
        "a": False,
        "b": 0.001,
        "c": "8:30",
        "d": "2024-01-01",
        "e": "0755",
        "f": 16,
        "g": None,
        "api_key": "012",
        "h": [True, 1.5],
    }


@pytest.mark.parametrize(
    ("content", "setting", "lines"),
    [
        ("storage: {kind: memory}\nlog: {level: debug}\nstorage: {retention: hash}", "storage", (1, 3)),
        ("storage:\n  kind: memory\n  kind: sqlite", "storage.kind", (2, 3)),
        ("arms:\n- name: a\n  kind: fake\n- name: b\n  kind: x\n  kind: y", "arms.1.kind", (5, 6)),
        (
            "generation:\n  engine_args:\n    a: {b: 1, c: 2,\n        b: 3}",
            "generation.engine_args.a.b",
            (3, 4),
        ),
        ('{"log": {},\n "log": {}}', "log", (1, 2)),
        ("log: &a {level: debug}\nlog:\n  <<: *a", "log", (1, 2)),
    ],
)
def test_a_name_that_is_given_twice_is_refused_with_both_lines(
    content: str, setting: str, lines: tuple[int, int], yaml_file: Path
) -> None:
    error = refused(yaml_file, content)
    assert error.param == setting
    assert error.message == (
        f"{setting}: is given twice in {yaml_file}, in lines {lines[0]} and {lines[1]}; write it once"
    )


def test_anchors_and_merge_keys_fill_in_what_is_not_written(yaml_file: Path) -> None:
    content = """
    arms:
      - &first {name: a, kind: fake, options: &shared {salt: x}, timeout_s: 5}
      - {<<: *first, name: b}
      - {<<: [{timeout_s: 7}, *first], name: c, options: {<<: *shared, salt: y}}
    """
    arms = read(yaml_file, content).arms
    assert [(arm.name, arm.timeout_s, arm.options["salt"]) for arm in arms] == [
        ("a", 5.0, "x"),
        ("b", 5.0, "x"),
        ("c", 7.0, "y"),
    ]


def test_a_mapping_that_merges_another_may_be_shared_itself(yaml_file: Path) -> None:
    content = """
    arms:
      - {name: a, kind: fake, options: {<<: &two {<<: &one {salt: x}, salt: y}}}
      - {name: b, kind: fake, options: *two}
      - {name: c, kind: fake, options: *one}
    """
    assert [arm.options["salt"] for arm in read(yaml_file, content).arms] == ["y", "y", "x"]


@pytest.mark.parametrize(
    "empty",
    [
        "storage:",
        "server:\nlog: ~",
        "arms:\ncontext:\n  tasks:",
        "generation: {engine_args: , defaults: }",
        "",
    ],
)
def test_an_empty_section_list_or_mapping_is_the_default(empty: str, yaml_file: Path) -> None:
    assert read(yaml_file, empty) == load()


@pytest.mark.parametrize(
    "section", ["storage: {path: ''}", "storage: {hash_key: ''}", "generation: {url: ''}"]
)
def test_an_empty_text_is_unset_where_a_setting_may_be(section: str, yaml_file: Path) -> None:
    assert read(yaml_file, section) == load()


@pytest.mark.parametrize(
    ("content", "setting"),
    [
        ("server: {host: ''}", "server.host"),
        ("server: {port: ''}", "server.port"),
        ("data_dir: ''", "data_dir"),
        ("log: {level: ''}", "log.level"),
        ("scoring: {allow_urls: ['']}", "scoring.allow_urls.0"),
        ("server: {api_keys: {ann: ''}}", "server.api_keys.ann"),
    ],
)
def test_an_empty_text_is_refused_where_a_setting_has_to_be(
    content: str, setting: str, yaml_file: Path
) -> None:
    yaml_file.write_text(content)
    with pytest.raises(ConfigError, match=f"^{setting}: is empty; write "):
        load(config=yaml_file)


def test_an_empty_section_leaves_the_profile_s(yaml_file: Path) -> None:
    yaml_file.write_text("storage:\narms:")
    settings = load(config=yaml_file, profile="fake")
    assert settings == load(profile="fake")


@pytest.mark.parametrize(
    ("content", "setting"),
    [
        ("arms:\n- {name: a, kind: fake}\n-", "arms.1"),
        ("context: {tasks: [a, ~]}", "context.tasks.1"),
        ("server:\n  api_keys:\n    ann:", "server.api_keys.ann"),
        ("feedback: {reward_range: [0, ~]}", "feedback.reward_range.1"),
        ("storage: {retention: }", "storage.retention"),
        ("server:\n  port:", "server.port"),
    ],
)
def test_an_empty_entry_or_value_is_refused_by_name(content: str, setting: str, yaml_file: Path) -> None:
    error = refused(yaml_file, content)
    assert error.param == setting
    assert error.message.startswith(f"{setting}: is empty; write ")
    assert len(error.message.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_may_be_in_utf_8_or_utf_16(encoding: str, yaml_file: Path) -> None:
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    yaml_file.write_bytes(marks.get(encoding, b"") + "data_dir: ĉé😀".encode(encoding))
    assert load(config=yaml_file).data_dir == Path("ĉé😀")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("data_dir: é".encode("latin-1"), "{path} is neither UTF-8 nor UTF-16; save it as UTF-8"),
        (b"\xff\xfe\x80", "{path} is neither UTF-8 nor UTF-16; save it as UTF-8"),
        ("data_dir: x".encode("utf-16-le"), "{path} has the character #x0000, which YAML does not allow"),
        (b"data_dir: a\x07b", "{path} has the character #x0007, which YAML does not allow"),
        (b"[1, 2]", "write a mapping of settings, not a list ({path}, line 1, column 1)"),
        (b"\njust words", "write a mapping of settings, not a text ({path}, line 2, column 1)"),
        (b"log:\n\tlevel: debug", "{path}, line 2, column 1: a tab is here; write spaces"),
        (b"log: {}\t", "{path}, line 1, column 8: a tab is here; write spaces"),
        (b"a: 1\n---\nb: 2", "{path}, line 2, column 1: begins a second document; write one"),
        (b"a: *password", "{path}, line 1, column 4: put a text that begins with * or ! in quotes"),
        (b"a: !pass!word x", "{path}, line 1, column 4: put a text that begins with * or ! in quotes"),
        (
            b"log: {level: ${X}}",
            "{path}, line 1, column 15: inside {{ }} and [ ], put a text with {{ in quotes",
        ),
        (b"[" * 2000, "{path} is nested too deeply"),
        (b"a: &password", "{path}, line 1, column 4: put a text that begins with & in quotes"),
        (b"a: @password", "{path}, line 1, column 4: put a text that begins with @, % or ` in quotes"),
        (b"a: `password", "{path}, line 1, column 4: put a text that begins with @, % or ` in quotes"),
        (b"a: %password", "{path}, line 1, column 4: put a text that begins with @, % or ` in quotes"),
        (b"a: ,password", "{path}, line 1, column 4: put a text that begins with a comma or a bracket in"),
        (b"a: >password", "{path}, line 1, column 5: put a text that begins with > or | in quotes"),
        (b'a: "pass\\word"', "{path}, line 1, column 10: put a text with \\ in single quotes"),
        (b"a: 'password", "{path}, line 1, column 13: a quote is not closed"),
        (b"a: {password", "{path}, line 1, column 13: a bracket is not closed"),
        (b"a: pass: word", '{path}, line 1, column 8: put a text with ": " in quotes'),
        (b"a: - b", "{path}, line 1, column 4: begin a list below its name, with each - in one column"),
        (b"a:\n   b: 1\n  c: 1", "{path}, line 3, column 3: begin all names of a mapping, and each - of"),
        (b"a: 1\nb:1\n", "{path}, line 3, column 1: write a name, a colon, a space and a value"),
        (b"[server]\nport=1", "{path}, line 2, column 1: write names of settings, each with a colon"),
        (b"a: {<<: }", "{path}, line 1, column 8: write after << the alias (*) of a mapping"),
        (b"? [a]\n: 1", "put a text that begins with a bracket in quotes ({path}, line 1, column 3)"),
        (b"a: {{ b }}", "put a text that begins with a bracket in quotes ({path}, line 1, column 5)"),
        (b"a: {'': 1}", "write a name before the colon ({path}, line 1, column 5)"),
    ],
)
def test_a_file_that_is_no_settings_is_refused_in_a_sentence(data: bytes, said: str, yaml_file: Path) -> None:
    yaml_file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(config=yaml_file)
    assert caught.value.message.splitlines()[0].partition(": ")[2].startswith(said.format(path=yaml_file))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("!!binary abc", "put a text that begins with ! in quotes"),
        ("!secret", "put a text that begins with ! in quotes"),
        ("!!int abc", "does not fit its tag; leave the tag out"),
        ("!!bool abc", "does not fit its tag; leave the tag out"),
        ("9" * 5000, "has too many digits"),
        ("&self [*self]", "contains itself by an alias (*)"),
    ],
)
def test_tags_and_loops_are_refused_by_name_without_the_text(
    value: str, sentence: str, yaml_file: Path
) -> None:
    error = refused(yaml_file, f"generation:\n  engine_args:\n    a: {value}")
    assert error.message.startswith(
        f"generation.engine_args.a{'.0' if 'self' in value else ''}: {sentence} ("
    )


def test_json_is_yaml_also_where_tabs_indent_it(yaml_file: Path) -> None:
    given = {"data_dir": 'ĉ 😀/\\"', "log": {"level": "debug"}, "policy": {"alpha": 1e-05}}
    for text in (
        json.dumps(given, indent="\t"),
        json.dumps(given),
        json.dumps(given, ensure_ascii=False, indent=1),
    ):
        assert read(yaml_file, text) == load(flags=given)
    yaml_file.write_bytes(json.dumps(given, indent="\t", ensure_ascii=False).encode("utf-16"))
    assert load(config=yaml_file) == load(flags=given)


@given(options=st.dictionaries(NAMES, JSON, max_size=4))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_options_in_json_are_read_as_they_are(options: dict[str, Any], yaml_file: Path) -> None:
    arms = [{"name": "a", "kind": "fake", "options": options}]
    (arm,) = read(yaml_file, json.dumps({"arms": arms})).arms
    assert arm.options == options


def test_an_error_names_the_variable_or_file_line_and_column_that_set_the_value(
    yaml_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml_file.write_text("log: {level: loud}\nserver:\n  port: 70000\narms:\n- name: a")
    with pytest.raises(ConfigError) as caught:
        load(config=yaml_file)
    assert caught.value.message.splitlines() == [
        f"server.port: write a whole number from 0 to 65535 ({yaml_file}, line 3, column 3)",
        f"arms.0.kind: is missing; write a text ({yaml_file}, line 5, column 3)",
        f"log.level: write one of: debug, info, warning, error ({yaml_file}, line 1, column 7)",
    ]
    monkeypatch.setenv("LASERVE_SERVER__PORT", "80000")
    monkeypatch.setenv("LASERVE_ARMS", '[{"name": "a"}]')
    with pytest.raises(ConfigError) as caught:
        load(config=yaml_file, flags={"log": {"level": "quiet"}})
    assert caught.value.message.splitlines() == [
        "server.port: write a whole number from 0 to 65535 (LASERVE_SERVER__PORT)",
        "arms.0.kind: is missing; write a text (LASERVE_ARMS)",
        "log.level: write one of: debug, info, warning, error",
    ]


def test_a_list_of_too_few_items_has_one_line(yaml_file: Path) -> None:
    yaml_file.write_text("feedback: {reward_range: []}")
    with pytest.raises(ConfigError) as caught:
        load(config=yaml_file)
    assert caught.value.message == (
        f"feedback.reward_range: write a list of 2 numbers ({yaml_file}, line 1, column 12)"
    )
