"""Variables of the environment in values of the file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.config import load
from laserve.config.expansion import expand
from laserve.errors import ConfigError

SECRET = "s3cret-of-the-house"


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NAME": "ann", "EMPTY": "", "N": "64", "YAML": "x: [1]\ny: 2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NONE", raising=False)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${NAME}", "ann"),
        ("a-${NAME}/${N}", "a-ann/64"),
        ("${NAME:-bob}", "ann"),
        ("${NONE:-bob}", "bob"),
        ("${EMPTY:-bob}", "bob"),
        ("${NONE:-}", ""),
        ("${NONE:-http://a:1/-}", "http://a:1/-"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$ann"),
        ("costs $5, $NAME", "costs $5, $NAME"),
        ("${YAML}", "x: [1]\ny: 2"),
    ],
)
def test_variables_defaults_and_dollars(text: str, expanded: str) -> None:
    assert expand(text) == expanded


@pytest.mark.parametrize("text", ["${NONE}", "${EMPTY}", "a ${NONE} ${NAME}"])
def test_a_variable_without_a_value_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"the variable (NONE|EMPTY) is not set or empty"):
        expand(text)


@pytest.mark.parametrize(
    "text", ["${}", "${NAME", "${1A}", "${NA ME}", "${NAME:?x}", "${NAME-x}", "${A:-${N}}"]
)
def test_another_form_is_refused_with_the_right_ones(text: str) -> None:
    with pytest.raises(ValueError, match=r"write \$\{NAME\} or \$\{NAME:-default\}"):
        expand(text)


@given(st.text())
def test_every_text_can_be_written_with_its_dollars_doubled(text: str) -> None:
    assert expand(text.replace("$", "$$")) == text


def test_a_value_has_the_type_that_its_setting_asks_for(tmp_path: Path) -> None:
    (tmp_path / "laserve.yaml").write_text(
        """
    server:
      port: ${N}
      host: ${N}
      api_keys: {"${NAME}": x}
    generation:
      kind: fake
      model: ${YAML}
      max_model_len: "${N}"
      url: ${NONE:-}
    arms:
      - name: a
        kind: fake
        options:
          number: ${N}
          text: "${N}"
          switch: ${NONE:-on}
          api_key: ${N}
          yaml: ${YAML}
    """.replace('"${NAME}": x', "ann: x")
    )
    settings = load(config=tmp_path / "laserve.yaml")
    assert (settings.server.port, settings.server.host) == (64, "64")
    generation = settings.generation
    assert (generation.model, generation.max_model_len, generation.url) == ("x: [1]\ny: 2", 64, None)
    assert settings.arms[0].options == {
        "number": 64,
        "text": "64",
        "switch": True,
        "api_key": "64",
        "yaml": "x: [1]\ny: 2",
    }


def test_names_and_environment_variables_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "laserve.yaml").write_text('arms: [{name: a, kind: fake, options: {"${NAME}": 1}}]')
    monkeypatch.setenv("LASERVE_DATA_DIR", "${NAME}")
    settings = load(config=tmp_path / "laserve.yaml")
    assert settings.arms[0].options == {"${NAME}": 1}
    assert settings.data_dir == Path("${NAME}")


def test_a_variable_that_is_not_set_is_named_with_the_setting_and_its_line(tmp_path: Path) -> None:
    path = tmp_path / "laserve.yaml"
    path.write_text("generation:\n  kind: openai\n  api_key: ${NONE}")
    with pytest.raises(ConfigError) as caught:
        load(config=path)
    assert caught.value.param == "generation.api_key"
    assert caught.value.message == (
        "generation.api_key: the variable NONE is not set or empty; set it, or write ${NONE:-default} "
        f"({path}, line 3, column 12)"
    )


@pytest.mark.parametrize(
    "content",
    [
        "server:\n  port: ${SECRET}",
        "server:\n  port: ${DIGITS}",
        "log:\n  level: ${SECRET}",
        "storage: ${SECRET}",
        "policy:\n  alpha: ${SECRET}",
        "arms: '${SECRET}'",
        "arms: ['${SECRET}']",
        "context:\n  tasks: ['${SECRET} ']",
        "generation:\n  url: ${SECRET}",
        "server:\n  api_keys: {'a b': '${SECRET}'}",
        "generation:\n  api_key: ${SECRET}${NONE}",
        "generation:\n  api_key: ${SECRET} ${",
    ],
)
def test_an_error_never_shows_a_variable_s_value(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.setenv("DIGITS", "70714")
    (tmp_path / "laserve.yaml").write_text(content)
    with pytest.raises(ConfigError) as caught:
        load(config=tmp_path / "laserve.yaml")
    assert SECRET not in caught.value.message
    assert "70714" not in caught.value.message
