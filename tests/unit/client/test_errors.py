"""Classes of refusals, of single requests, in a stream and in a batch."""

import copy
import pickle
from typing import Any

import httpx
import pytest

from laserve_client import (
    APIError,
    Conflict,
    Gone,
    InvalidRequest,
    LaserveClientError,
    NotFound,
    Overloaded,
    TimedOut,
    Unauthorized,
    Unavailable,
)

CLASSES: list[tuple[int, str, str, type[APIError]]] = [
    (401, "authentication_error", "invalid_api_key", Unauthorized),
    (404, "invalid_request_error", "not_found", NotFound),
    (409, "invalid_request_error", "idempotency_conflict", Conflict),
    (410, "invalid_request_error", "deleted", Gone),
    (413, "invalid_request_error", "body_too_large", InvalidRequest),
    (422, "invalid_request_error", "invalid_value", InvalidRequest),
    (429, "rate_limit_error", "overloaded", Overloaded),
    (500, "server_error", "internal_error", APIError),
    (503, "unavailable_error", "not_ready", Unavailable),
    (503, "unavailable_error", "engine_error", Unavailable),
    (504, "timeout_error", "no_candidate", TimedOut),
]
refusals = pytest.mark.parametrize(("status", "family", "code", "expected"), CLASSES)


def detail(family: str, code: str, **more: Any) -> dict[str, Any]:
    return {"type": family, "code": code, "message": "field: what is wrong", "param": "field"} | more


@refusals
async def test_a_status_raises_its_class_with_all_that_the_service_said(
    calling, waits, status, family, code, expected
):
    caller = calling(httpx.Response(status, json={"error": detail(family, code)}))
    with pytest.raises(expected) as caught:
        await caller("generate", prompt="when")
    error = caught.value
    assert type(error) is expected
    assert (error.status, error.type, error.code) == (status, family, code)
    assert (error.message, error.param) == ("field: what is wrong", "field")
    assert str(error) == f"field: what is wrong ({status}, {code})"


@refusals
async def test_the_same_error_in_a_stream_is_of_the_same_class_and_status(
    calling, sse, status, family, code, expected
):
    caller = calling(httpx.Response(200, content=sse("error", {"error": detail(family, code)})))
    with pytest.raises(expected) as caught:
        await caller.stream([], prompt="when")
    error = caught.value
    assert (type(error), error.status, error.code) == (expected, status, code)


@refusals
async def test_a_stream_that_is_refused_raises_before_its_first_step(
    calling, waits, status, family, code, expected
):
    steps: list[Any] = []
    with pytest.raises(expected) as caught:
        await calling(httpx.Response(status, json={"error": detail(family, code)})).stream(
            steps, prompt="when"
        )
    assert (caught.value.status, caught.value.code, steps) == (status, code, [])


async def test_a_conflict_holds_the_body_that_came_before(calling):
    stored = {"decision_id": "d1", "thumb": 1.0, "source": ""}
    body = {"error": detail("invalid_request_error", "idempotency_conflict", stored=stored)}
    with pytest.raises(Conflict) as caught:
        await calling(httpx.Response(409, json=body))("feedback", "d1", thumb="down")
    assert caught.value.stored == stored


async def test_a_conflict_whose_body_is_no_longer_kept_holds_none(calling):
    body = {"error": detail("invalid_request_error", "idempotency_conflict", stored=None)}
    with pytest.raises(Conflict) as caught:
        await calling(httpx.Response(409, json=body))("feedback", "d1", thumb="down")
    assert caught.value.stored is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), (None, None), ("Fri, 31 Dec 1999 23:59:59 GMT", None), ("-1", None)],
)
@pytest.mark.parametrize(("status", "expected"), [(429, Overloaded), (503, Unavailable)])
async def test_busy_errors_tell_when_to_try_again_where_the_answer_does(
    calling, waits, status, expected, header, seconds
):
    headers = {} if header is None else {"Retry-After": header}
    with pytest.raises(expected) as caught:
        await calling(httpx.Response(status, json={}, headers=headers))("arms")
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (502, b"<h1>Bad Gateway</h1>", "<h1>Bad Gateway</h1>"),
        (502, b"", "Bad Gateway"),
        (500, b'{"error": "text"}', '{"error": "text"}'),
        (500, b"[1]", "[1]"),
        (405, b'{"error": null}', '{"error": null}'),
        (307, b"", "Temporary Redirect"),
        (500, b"x" * 10_000, "x" * 500),
    ],
)
async def test_a_refusal_that_is_not_laserves_tells_its_status_and_what_came(calling, status, body, message):
    with pytest.raises(APIError) as caught:
        await calling(httpx.Response(status, content=body))("arms")
    error = caught.value
    assert (error.status, error.type, error.code, error.param) == (status, "unknown", "unknown", None)
    assert error.message == message


async def test_a_status_has_its_class_even_where_a_proxy_answers(calling):
    with pytest.raises(Unauthorized):
        await calling(httpx.Response(401, content=b"who are you?"))("arms")


@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_survive_being_copied_to_another_process(copied):
    body = detail("rate_limit_error", "overloaded", stored={"reward": 1})
    for kind in (Overloaded, Conflict):
        error = kind("full", status=429, detail=body, retry_after=3)
        twin = copied(error)
        assert type(twin) is kind
        assert vars(twin) == vars(error)
        assert str(twin) == str(error)


def test_one_except_clause_catches_everything():
    assert all(issubclass(expected, LaserveClientError) for *_, expected in CLASSES)
