"""Secrets among settings, in every spelling and at any depth."""

import json
from pathlib import Path
from typing import Any

import pytest

from laserve.config import load
from laserve.config.secrets import is_secret, public, public_text

SECRET = "s3cret-of-the-house"


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "API_KEY",
        "apiKey",
        "X-Api-Key",
        "judge_api_key",
        "api_keys",
        "token",
        "hub_token",
        "hubToken",
        "token2",
        "password",
        "db-passwd",
        "client_secret",
        "secrets",
        "headers",
        "extra_headers",
        "Authorization",
        "proxy-authorization",
        "auth",
        "Cookie",
        "Set-Cookie",
        "credentials",
        "aws_secret_access_key",
        "private_key",
        "Ocp-Apim-Subscription-Key",
    ],
)
def test_a_name_says_that_its_value_is_a_secret_in_every_spelling(name: str) -> None:
    assert is_secret(name)
    assert public({name: SECRET}) == {}
    assert public({name: {"x": [SECRET]}}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens",
        "tokenizer",
        "stop_token_ids",
        "author",
        "key",
        "sort_key",
        "keyword",
        "secretary",
        "model",
    ],
)
def test_other_names_keep_their_values(name: str) -> None:
    assert public({name: "value"}) == {name: "value"}


def test_secrets_are_left_out_at_any_depth() -> None:
    value = {"a": [{"API_KEY": "s", "b": 1}], "hub_token": "s", "headers": {"x": "s"}, 3: ("three", None)}
    assert public(value) == {"a": [{"b": 1}], "3": ["three", None]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ann:pass@host:8000/v1", "https://host:8000/v1"),
        ("https://ann@host", "https://host"),
        ("https://ann:p@ss@host/a@b", "https://host/a@b"),
        ("https://host/v1?api_key=s&n=1&Token=t", "https://host/v1?api_key=***&n=1&Token=***"),
        ("https://host/v1?key=s#access_token=t", "https://host/v1?key=***#access_token=***"),
        ("no server at 'http://ann:pass@host/v1': refused", "no server at 'http://host/v1': refused"),
    ],
)
def test_urls_show_no_user_and_no_secret_parameter(text: str, shown: str) -> None:
    assert public_text(text) == shown
    assert public({"url": [text]}) == {"url": [shown]}


@pytest.mark.parametrize(
    "text",
    ["", "http://host:8000/v1?n=1", "ann@example.org", "1/2: a@b", "Is {answer} right? token=5", "?api_key="],
)
def test_texts_without_a_secret_stay_as_they_are(text: str) -> None:
    assert public_text(text) == text


@pytest.mark.parametrize(
    "flags",
    [
        {"arms": [{"name": "a", "kind": "python", "options": {"nested": [{"X-Api-Key": SECRET}]}}]},
        {"arms": [{"name": "a", "kind": "judge", "options": {"url": f"http://ann:{SECRET}@host"}}]},
        {"generation": {"engine_args": {"hf_token": SECRET}}},
        {"generation": {"kind": "openai", "url": f"http://host/?token={SECRET}"}},
        {"scoring": {"allow_urls": [f"http://ann:{SECRET}@host"]}},
    ],
)
def test_settings_show_no_secret_that_lies_in_an_option_or_a_url(
    flags: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "laserve.yaml"
    path.write_text(json.dumps(flags))
    settings = load(config=path)
    assert SECRET in settings.model_dump_json()
    assert SECRET not in f"{settings!r} {settings} {settings.arms[0]!r} {settings.generation}"
