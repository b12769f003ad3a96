"""What is said of a model server that is not as it should be; never the key."""

from typing import Any

import httpx
import pytest

from laserve.errors import ArmFailed, ConfigError, Unscorable
from laserve.scoring.http.server import RemoteServer

URL = "http://user:hidden@models.example:8000/v1"
KEY = "very-secret"
TWO = {"data": [{"id": "one", "max_model_len": 512}, {"id": "two"}]}


def server(status: int = 200, *, seen: list[httpx.Request] | None = None, **content: Any) -> RemoteServer:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return httpx.Response(status, **content)

    return RemoteServer(URL, api_key=KEY, transport=httpx.MockTransport(answer))


def unreachable() -> RemoteServer:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    return RemoteServer(URL, api_key=KEY, transport=httpx.MockTransport(refuse))


async def test_a_served_model_is_found_with_what_the_server_says_of_it() -> None:
    seen: list[httpx.Request] = []
    assert await server(json=TWO, seen=seen).find("one") == ("one", TWO["data"][0])
    assert str(seen[0].url).endswith("models.example:8000/v1/models")
    assert (await server(json={"data": [{"id": "one"}]}).find(None))[0] == "one"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (server(401), r"options.api_key: http://models.example:8000/v1 refuses this key"),
        (server(500), r"options.url: http://models.example:8000/v1 answered 500 to /v1/models"),
        (unreachable(), r"options.url: no model server at http://models.example:8000/v1: ConnectError"),
        (server(text="<html>"), r"options.url: .* is not an OpenAI-compatible server"),
        (server(json=[]), r"options.url: .* is not an OpenAI-compatible server"),
        (server(json=TWO), r"options.model: .* does not serve exactly one model; name one of: one, two"),
    ],
)
async def test_what_settings_can_mend_names_the_setting(broken: RemoteServer, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        await broken.find(None)
    assert KEY not in caught.value.message
    assert "hidden" not in caught.value.message


async def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"options.model: .* does not serve 'three'; it serves: one, two"):
        await server(json=TWO).find("three")


@pytest.mark.parametrize(
    ("broken", "error", "message"),
    [
        (server(400, json={}), Unscorable, "refuses the request: 400 to /classify"),
        (server(422), Unscorable, "422"),
        (server(401), ArmFailed, "answered 401 to /classify"),
        (server(503), ArmFailed, "answered 503"),
        (server(text="hello"), ArmFailed, "did not answer .* with JSON"),
        (unreachable(), ArmFailed, "does not answer: ConnectError: refused"),
    ],
)
async def test_a_request_that_fails_costs_the_arm(
    broken: RemoteServer, error: type[ArmFailed], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        await broken.post("/classify", {})
    assert type(caught.value) is error
    assert KEY not in caught.value.message


def test_messages_name_the_server_without_a_secret_parameter() -> None:
    assert RemoteServer("http://ann:hidden@host/v1?api_key=hidden").name == "http://host/v1?api_key=***"


@pytest.mark.parametrize("url", ["models.example", "ftp://models.example", "http://", "", "http://a:b", 7])
def test_a_url_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(ConfigError, match=r"^options.url: "):
        RemoteServer(url)


@pytest.mark.parametrize("key", ["hidden\n", "hid\rden", "hidd\u00e9n"])
def test_a_key_that_no_header_may_hold_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(ConfigError, match=r"^options.api_key: ") as caught:
        RemoteServer("http://models.example", api_key=key)
    assert "hid" not in str(caught.value)


def test_a_password_that_breaks_the_url_is_not_quoted() -> None:
    with pytest.raises(ConfigError, match=r"^options.url: ") as caught:
        RemoteServer("http://user:hidden#word@models.example")
    assert "hidden" not in str(caught.value)
