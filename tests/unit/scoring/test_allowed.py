from pathlib import Path
from typing import Any

import pytest

from laserve.errors import Forbidden, InvalidRequest
from laserve.scoring.allowed import REFUSED, Allowed


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "good").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    return folder


@pytest.fixture
def allowed(models: Path) -> Allowed:
    return Allowed(
        kinds=["fake", "relevance"], folders=[models], urls=["http://rm.local:9000/v1", "https://rm.local"]
    )


def test_a_kind_that_is_not_listed_is_forbidden_and_an_unknown_one_is_invalid(allowed: Allowed) -> None:
    allowed.check("fake", {})
    with pytest.raises(Forbidden, match="fake, relevance") as caught:
        allowed.check("loglik", {})
    assert caught.value.param == "kind"
    with pytest.raises(InvalidRequest, match="unknown kind 'nothing'") as unknown:
        allowed.check("nothing", {})
    assert unknown.value.param == "kind"


def test_without_kinds_nothing_may_be_added() -> None:
    with pytest.raises(Forbidden, match="none"):
        Allowed(kinds=(), folders=(), urls=()).check("fake", {})


@pytest.mark.parametrize("option", ["model", "adapter", "reference", "tokenizer", "anything"])
def test_a_path_inside_an_allowed_folder_may_be_named(allowed: Allowed, models: Path, option: str) -> None:
    allowed.check("fake", {option: str(models / "good")})


@pytest.mark.parametrize("packaged", ["smollm2-135m-instruct", "all-minilm-l6-v2"])
def test_a_packaged_model_may_be_named(allowed: Allowed, packaged: str) -> None:
    allowed.check("fake", {"model": packaged})


@pytest.mark.parametrize(
    "value",
    [
        "/etc/passwd",
        "~/models/good",
        "relative/folder",
        "good",
        "org/model-on-a-hub",
        "",
        "{models}/../elsewhere",
        "{models}/good/../../elsewhere",
        "{models}/link",  # a link that leads out
        "{models}/link/deeper",
        "{models}-of-another-name/good",
    ],
)
def test_a_path_outside_is_forbidden_wherever_it_leads_through(
    allowed: Allowed, models: Path, value: str
) -> None:
    with pytest.raises(Forbidden, match="allow_folders") as caught:
        allowed.check("fake", {"model": value.replace("{models}", str(models))})
    assert caught.value.param == "options.model"


@pytest.mark.parametrize("value", ["/etc/passwd", "~/x", "C:\\x", "../x", "a/../../x", "file:/etc/passwd"])
@pytest.mark.parametrize("nested", [False, True])
def test_whatever_looks_like_a_path_is_one(allowed: Allowed, value: str, nested: bool) -> None:
    options: dict[str, Any] = {"more": {"list": [1, value]}} if nested else {"salt": value}
    with pytest.raises(Forbidden) as caught:
        allowed.check("fake", options)
    assert caught.value.param == ("options.more.list.1" if nested else "options.salt")


@pytest.mark.parametrize("value", ["plain", "a b", "3.5", "question: what?", "float/32"])
def test_other_texts_and_numbers_are_nobodys_business(allowed: Allowed, value: str) -> None:
    allowed.check("fake", {"salt": value, "delay_s": 0.5, "fail": False, "weights": {"a": 1}, "none": None})


@pytest.mark.parametrize("value", [5, ["/etc"], {"a": "b"}, True])
def test_a_path_that_is_no_text_is_invalid(allowed: Allowed, value: Any) -> None:
    with pytest.raises((InvalidRequest, Forbidden)) as caught:
        allowed.check("fake", {"model": value})
    assert (caught.value.param or "").startswith("options.model")


@pytest.mark.parametrize("value", ["{models}/\0", "~no-user-of-this-machine/x"])
def test_a_path_that_is_none_is_invalid(allowed: Allowed, models: Path, value: str) -> None:
    with pytest.raises(InvalidRequest, match="expected a path"):
        allowed.check("fake", {"model": value.replace("{models}", str(models))})


@pytest.mark.parametrize("option", ["model", "adapter"])
def test_a_name_longer_than_any_file_is_refused(allowed: Allowed, option: str) -> None:
    with pytest.raises((InvalidRequest, Forbidden)) as caught:
        allowed.check("fake", {option: "x" * 5000})
    assert caught.value.param == f"options.{option}"


def test_a_packaged_name_is_one_only_where_it_is_looked_up(allowed: Allowed) -> None:
    allowed.check("fake", {"adapter": "grounded"})
    for option, value in (("model", "grounded"), ("adapter", "smollm2-135m-instruct")):
        with pytest.raises(Forbidden):  # a folder of that name where the service was started
            allowed.check("fake", {option: value})


@pytest.mark.parametrize(
    "url",
    [
        "http://rm.local:9000/v1",
        "http://rm.local:9000/v1/",
        "http://rm.local:9000/v1/score",
        "HTTP://RM.local:9000/v1",
        "https://rm.local",
        "https://rm.local:443/any/thing",
    ],
)
def test_a_url_at_or_below_an_allowed_one_may_be_named(allowed: Allowed, url: str) -> None:
    allowed.check("fake", {"url": url})


@pytest.mark.parametrize(
    "url",
    [
        "http://rm.local:9000",
        "http://rm.local:9000/v10",
        "http://rm.local:9000/v1/../admin",
        "http://rm.local:9000/v1/%2e%2e/admin",
        "http://rm.local:9000/v1/%252e%252e/admin",
        "http://rm.local:9000/v1\\..\\admin",
        "http://rm.local:9001/v1",
        "http://rm.local/v1",
        "https://rm.local:9000/v1",
        "http://rm.local:9000@evil.example/v1",
        "http://user:secret@rm.local:9000/v1",
        "http://rm.local:9000.evil.example/v1",
        "https://rm.local.evil.example/",
        "http://rm.local:9000/v1?to=x",
        "http://rm.local:9000/v1#x",
        "http://rm.local:99999/v1",
        "ftp://rm.local:9000/v1",
        "file:///etc/passwd",
        "//rm.local/v1",
    ],
)
@pytest.mark.parametrize("name", ["url", "endpoint"])
def test_any_other_url_is_forbidden(allowed: Allowed, url: str, name: str) -> None:
    with pytest.raises(Forbidden) as caught:
        allowed.check("fake", {name: url})
    assert caught.value.param == f"options.{name}"


def test_a_refused_url_is_told_without_what_is_secret_in_it_or_in_the_configuration() -> None:
    allowed = Allowed(kinds=["fake"], folders=(), urls=["http://ann:configured@rm.local"])
    with pytest.raises(Forbidden) as caught:
        allowed.check("fake", {"url": "http://ann:posted@rm.local/?token=posted"})
    assert "'http://rm.local/?token=***' is not at or below" in caught.value.message
    assert "allow_urls: http://rm.local" in caught.value.message
    assert "posted" not in caught.value.message


@pytest.mark.parametrize("url", ["rm.local", ""])
def test_a_url_without_a_scheme_is_forbidden(allowed: Allowed, url: str) -> None:
    with pytest.raises(Forbidden):
        allowed.check("fake", {"url": url})


@pytest.mark.parametrize(
    "name", [*sorted(REFUSED), "judge_api_key", "apiKey", "X-Api-Key", "token", "Authorization", "headers"]
)
@pytest.mark.parametrize("value", ["x", {"a": 1}, None, False])
@pytest.mark.parametrize("nested", [False, True])
def test_secrets_and_what_runs_code_come_from_the_configuration_alone(
    allowed: Allowed, name: str, value: Any, nested: bool
) -> None:
    with pytest.raises(Forbidden, match="only the configuration may set this option") as caught:
        allowed.check("fake", {"outer": {name: value}} if nested else {name: value})
    assert (caught.value.param or "").endswith(name)
