"""Causes of the metrics of requests, permits and candidates."""

import time

import httpx
import pytest

from acceptance.busy import EACH_S, busy
from acceptance.metrics.causes import cause, service
from acceptance.wire import stream, until


@cause("laserve_requests")
def an_answered_request_by_endpoint_and_status(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        main.client.get("/policy")
        main.client.get("/v1/policy")  # the same endpoint
        main.client.get("/decisions/x")
        main.client.get("/decisions/y")
        main.client.get("/nothing/here")
        main.client.post("/feedback", json={})
    assert change("laserve_requests_total", endpoint="/policy", status="200") == 2
    assert change("laserve_requests_total", endpoint="/decisions/{decision_id}", status="404") == 2
    assert change("laserve_requests_total", endpoint="unmatched", status="404") == 1
    assert change("laserve_requests_total", endpoint="/feedback", status="422") == 1
    assert change("laserve_requests_total", endpoint="/metrics", status="200") == 1


@cause("laserve_stage_seconds")
def a_decision_by_stage(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        timings = main.generate()["timings"]
    assert timings.keys() == {"choose", "generate", "score", "store", "total"}
    for stage, seconds in timings.items():
        assert change("laserve_stage_seconds_count", stage=stage) == 1
        assert change("laserve_stage_seconds_sum", stage=stage) == pytest.approx(seconds)


@cause("laserve_rejected")
def a_request_that_finds_no_permit(request: pytest.FixtureRequest) -> None:
    narrow = service(request, "narrow")
    with narrow.watching() as change, busy(narrow):
        assert narrow.client.post("/generate", json={"prompt": "a"}).status_code == 429
    assert change("laserve_rejected_total", reason="overloaded") == 1


@cause("laserve_candidates")
def a_candidate_by_its_finish_reason(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        main.generate(prompt="a", n=3, max_tokens=1)
        main.generate(prompt="a", n=2)
    assert change("laserve_candidates_total", finish_reason="length") == 3
    assert change("laserve_candidates_total", finish_reason="stop") == 2


@cause("laserve_tokens")
def a_token_read_or_sampled(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        usage = main.generate()["usage"]
    assert change("laserve_tokens_total", kind="prompt") == usage["prompt_tokens"]
    assert change("laserve_tokens_total", kind="generated") == usage["completion_tokens"]


@cause("laserve_request_seconds")
def an_answer_s_time_by_endpoint_and_status_class(request: pytest.FixtureRequest) -> None:
    unhurried, armless = service(request, "unhurried"), service(request, "armless")
    with unhurried.watching() as change:
        unhurried.client.get("/policy")
        unhurried.client.get("/v1/policy")  # the same endpoint
        unhurried.client.get("/policy/")
        unhurried.client.get("/decisions/x")
        unhurried.client.get("/nothing/here")
        unhurried.generate(n=2)
        began = time.monotonic()
        assert stream(unhurried, prompt="a", n=2)[-1].event == "decision"
        lasted = time.monotonic() - began

    def counted(endpoint: str, status_class: str) -> float:
        return change("laserve_request_seconds_count", endpoint=endpoint, status_class=status_class)

    assert counted("/policy", "2xx") == 2
    assert counted("unmatched", "3xx") == 1  # sent on to the path without the slash
    assert counted("/decisions/{decision_id}", "4xx") == 1
    assert counted("unmatched", "4xx") == 1
    assert counted("/metrics", "2xx") == 1
    assert counted("/generate", "2xx") == 2
    seconds = change("laserve_request_seconds_sum", endpoint="/generate", status_class="2xx")
    assert seconds >= 4 * EACH_S  # the stream's last byte comes after its last candidate
    assert seconds <= lasted + 4 * EACH_S + 2
    with armless.watching() as change:
        assert armless.client.post("/generate", json={"prompt": "a"}).status_code == 503
    assert counted("/generate", "5xx") == 1


@cause("laserve_request_seconds")
def a_client_that_leaves_before_the_answer_has_ended(request: pytest.FixtureRequest) -> None:
    unhurried = service(request, "unhurried")
    label = {"endpoint": "/generate", "status_class": "left"}
    key = ("laserve_request_seconds_count", frozenset(label.items()))
    before = unhurried.samples().get(key, 0)
    with unhurried.watching() as change:
        for body in ({"prompt": "a", "n": 8}, {"prompt": "a", "n": 8, "stream": True}):
            with pytest.raises(httpx.ReadTimeout):
                unhurried.client.post("/generate", json=body, timeout=EACH_S / 2)
        until(lambda: unhurried.samples().get(key, 0) == before + 2)
    assert EACH_S <= change("laserve_request_seconds_sum", **label) < 2 * 8 * EACH_S
    assert change("laserve_caller_requests_total", caller="anonymous", **label) == 2


@cause("laserve_caller_requests")
def a_request_by_its_caller_s_key(request: pytest.FixtureRequest) -> None:
    main, keyed = service(request), service(request, "keyed")
    with keyed.watching() as change:
        keyed.client.get("/policy", headers={"Authorization": "Bearer s3cret"})
        keyed.client.get("/v1/policy", headers={"Authorization": "Bearer s3cret"})
        keyed.client.get("/decisions/x", headers={"Authorization": "Bearer hunter2"})
        keyed.client.get("/policy", headers={"Authorization": "Bearer alice"})
        keyed.client.get("/policy")
        keyed.client.get("/healthz", headers={"Authorization": "Bearer s3cret"})  # needs no key

    def counted(caller: str, endpoint: str, status_class: str) -> float:
        labels = {"caller": caller, "endpoint": endpoint, "status_class": status_class}
        return change("laserve_caller_requests_total", **labels)

    assert counted("alice", "/policy", "2xx") == 2
    assert counted("bob", "/decisions/{decision_id}", "4xx") == 1
    assert counted("unauthorized", "/policy", "4xx") == 2
    assert counted("alice", "/policy", "4xx") == 0
    assert counted("anonymous", "/healthz", "2xx") == 1
    with main.watching() as change:
        main.client.get("/policy")
    assert counted("anonymous", "/policy", "2xx") == 1


@cause("laserve_unauthorized")
def a_request_without_a_key_that_is_known(request: pytest.FixtureRequest) -> None:
    keyed = service(request, "keyed")
    refused = {
        "missing": [{}, {"Authorization": ""}, {"X-API-Key": "s3cret"}],
        "malformed": [{"Authorization": value} for value in ("Bearer", "s3cret", "Basic s3cret")],
        "unknown": [{"Authorization": value} for value in ("Bearer wrong", "bearer alice")],
    }
    with keyed.watching() as change:
        for headers in (each for some in refused.values() for each in some):
            assert keyed.client.get("/policy", headers=headers).status_code == 401
        assert keyed.client.get("/policy", headers={"Authorization": "Bearer s3cret"}).status_code == 200
        assert keyed.client.get("/healthz").status_code == 200
    for label, requests in refused.items():
        assert change("laserve_unauthorized_total", cause=label) == len(requests)


@cause("laserve_permits_in_use")
def a_permit_that_a_decision_holds(request: pytest.FixtureRequest) -> None:
    narrow = service(request, "narrow")
    assert narrow.sample("laserve_permits_in_use") == 0
    with busy(narrow):
        assert narrow.sample("laserve_permits_in_use") == 1
    assert narrow.sample("laserve_permits_in_use") == 0


@cause("laserve_permits_limit")
def the_number_of_permits_by_setting_or_by_what_the_generator_serves(request: pytest.FixtureRequest) -> None:
    assert service(request, "narrow").sample("laserve_permits_limit") == 1
    assert service(request, "growing").sample("laserve_permits_limit") == 64
    assert service(request).sample("laserve_permits_limit") == 256


@cause("laserve_first_candidate_seconds")
def the_time_until_the_first_candidate(request: pytest.FixtureRequest) -> None:
    unhurried = service(request, "unhurried")
    with unhurried.watching() as change:
        timings = unhurried.generate(n=3)["timings"]
    assert change("laserve_first_candidate_seconds_count") == 1
    assert EACH_S <= change("laserve_first_candidate_seconds_sum") < timings["generate"] - EACH_S
