"""Requests of the clients."""

from typing import Any

import httpx
import pytest

OUTCOME = {"status": "recorded", "learned": True, "reward": 1.0}


async def test_generate_sends_what_was_given_and_leaves_the_rest_to_the_service(calling, decision_body):
    caller = calling(httpx.Response(200, json=decision_body))
    await caller("generate", prompt="when", n=2, temperature=0.0, seed=None, return_candidates=False)
    request = caller.requests[0]
    assert (request.method, request.url.path) == ("POST", "/generate")
    assert request.headers["content-type"] == "application/json"
    assert caller.sent == {"prompt": "when", "n": 2, "temperature": 0.0, "return_candidates": False}


async def test_every_field_of_a_request_arrives_as_it_is(calling, decision_body):
    request: dict[str, Any] = {
        "question": "Wann wurde die Brücke eröffnet?\u2028",
        "documents": [{"title": "Orrin", "text": "1907"}, {"text": "1911"}],
        "n": 4,
        "temperature": 0.5,
        "top_p": 0.75,
        "max_tokens": 16,
        "stop": ["\n", "."],
        "seed": 2**62,
        "arm": "loglik",
        "policy": "random",
        "task": "chat",
        "metadata": {"nested": {"list": [1, None]}},
        "attribute_weights": {"helpfulness": 0.5},
        "return_candidates": True,
        "timeout_s": 2.5,
    }
    caller = calling(httpx.Response(200, json=decision_body))
    await caller("generate", **request)
    assert caller.sent == request


async def test_stream_asks_for_a_stream_once_it_is_read(calling):
    caller = calling(httpx.Response(422, json={}))
    steps = caller.client.stream(messages=[{"role": "user", "content": "hi"}])
    assert caller.requests == []
    with pytest.raises(Exception, match="422"):
        next(steps) if hasattr(steps, "__next__") else await anext(steps)
    assert caller.sent == {"messages": [{"role": "user", "content": "hi"}], "stream": True}


@pytest.mark.parametrize(
    "kind",
    [
        {"reward": 0.0},
        {"thumb": "down"},
        {"thumb": 0},
        {"chosen_index": 0},
        {"candidate_rewards": [0.0, 1.0]},
        {"references": ["1907"], "metric": "rouge_l", "source": "anna"},
    ],
)
async def test_feedback_sends_the_decision_and_the_kind_even_where_it_is_zero(calling, kind):
    caller = calling(httpx.Response(200, json=OUTCOME))
    await caller("feedback", "d1", **kind)
    assert caller.requests[0].url.path == "/feedback"
    assert caller.sent == {"decision_id": "d1"} | kind
    assert "idempotency-key" not in caller.requests[0].headers


async def test_an_idempotency_key_goes_into_its_header(calling):
    caller = calling(httpx.Response(200, json=OUTCOME))
    await caller("feedback", "d1", reward=1.0, idempotency_key="k1")
    assert caller.requests[0].headers["idempotency-key"] == "k1"
    assert caller.sent == {"decision_id": "d1", "reward": 1.0}


async def test_a_batch_is_one_json_object_a_line(calling):
    caller = calling(
        httpx.Response(
            200, content=b'{"line":1,"status":"recorded","learned":true}\n{"line":2,"status":"duplicate"}\n'
        )
    )
    await caller(
        "feedback_batch",
        [
            {"decision_id": "d1", "references": ["a\nb"], "source": None},
            {"decision_id": "d2", "thumb": "up"},
        ],
    )
    request = caller.requests[0]
    assert (request.method, request.url.path) == ("POST", "/feedback/batch")
    assert request.headers["content-type"] == "application/x-ndjson"
    assert request.content == (
        b'{"decision_id":"d1","references":["a\\nb"]}\n{"decision_id":"d2","thumb":"up"}\n'
    )


@pytest.mark.parametrize(
    ("method", "arguments", "verb", "path"),
    [
        ("decision", ["d1"], "GET", b"/decisions/d1"),
        ("delete", ["d1"], "DELETE", b"/decisions/d1"),
        ("decision", ["a/../b?c#d"], "GET", b"/decisions/a%2F..%2Fb%3Fc%23d"),
        ("arms", [], "GET", b"/arms"),
        ("policy", [], "GET", b"/policy"),
        ("ready", [], "GET", b"/readyz"),
        ("health", [], "GET", b"/healthz"),
    ],
)
async def test_reads_go_to_their_own_path_and_ids_cannot_leave_it(calling, method, arguments, verb, path):
    caller = calling(httpx.Response(404, json={}))
    with pytest.raises(Exception, match="404"):
        await caller(method, *arguments)
    assert (caller.requests[0].method, caller.requests[0].url.raw_path) == (verb, path)


async def test_an_api_key_is_sent_as_a_bearer_token_and_none_without(calling):
    for key, header in (("secret", "Bearer secret"), (None, None)):
        caller = calling(httpx.Response(200, json={"arms": []}), api_key=key)
        await caller("arms")
        assert caller.requests[0].headers.get("authorization") == header


async def test_paths_come_after_the_path_of_the_base_url(calling):
    caller = calling(httpx.Response(200, json={"arms": []}), base_url="https://example.org/laserve/v1/")
    await caller("arms")
    assert str(caller.requests[0].url) == "https://example.org/laserve/v1/arms"


@pytest.mark.parametrize(
    ("timeout", "timeout_s", "read"),
    [(10.0, None, 10.0), (10.0, 30, 90.0), (100.0, 30, 100.0), (None, 30, None)],
)
async def test_an_answer_is_awaited_at_least_a_minute_longer_than_its_timeout(
    calling, decision_body, timeout, timeout_s, read
):
    caller = calling(httpx.Response(200, json=decision_body), timeout=timeout)
    await caller("generate", prompt="when", timeout_s=timeout_s)
    timeouts = caller.requests[0].extensions["timeout"]
    assert timeouts == {"connect": timeout, "read": read, "write": timeout, "pool": timeout}


async def test_by_default_connecting_takes_seconds_and_an_answer_minutes(calling, decision_body):
    caller = calling(httpx.Response(200, json=decision_body))
    await caller("generate", prompt="when")
    timeouts = caller.requests[0].extensions["timeout"]
    assert (timeouts["connect"], timeouts["read"]) == (5.0, 180.0)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("generate", {"promt": "when"}), ("generate", {"prompt": "when", "stream": True})],
)
async def test_a_misspelt_keyword_is_a_type_error_before_anything_is_sent(calling, method, arguments):
    caller = calling(httpx.Response(200))
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        await caller(method, **arguments)
    with pytest.raises(TypeError, match="unexpected keyword argument 'rewards'"):
        await caller("feedback", "d1", rewards=[1.0])
    assert caller.requests == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
async def test_a_value_without_a_form_in_json_is_a_value_error_before_anything_is_sent(calling, value):
    caller = calling(httpx.Response(200))
    with pytest.raises(ValueError):
        await caller("generate", prompt="when", metadata={"value": value})
    assert caller.requests == []
