"""The OpenAPI document lists what is served, and its examples work."""

import json
from typing import Any

import pytest

from acceptance.wire import Service

ENDPOINTS = {
    ("/generate", "post"),
    ("/feedback", "post"),
    ("/feedback/batch", "post"),
    ("/decisions/{decision_id}", "get"),
    ("/decisions/{decision_id}", "delete"),
    ("/export", "get"),
    ("/arms", "get"),
    ("/arms", "post"),
    ("/arms/{name}", "get"),
    ("/arms/{name}", "patch"),
    ("/policies/evaluate", "post"),
    ("/policy", "get"),
    ("/healthz", "get"),
    ("/readyz", "get"),
    ("/metrics", "get"),
}


@pytest.fixture(scope="module")
def document(main: Service) -> dict[str, Any]:
    return main.get("/openapi.json")


def examples(document: dict[str, Any], path: str) -> list[Any]:
    """Bodies that the document offers for a POST."""
    content = document["paths"][path]["post"]["requestBody"]["content"]
    (media,) = content.values()
    if "example" in media:
        return [media["example"]]
    name = media["schema"]["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]["examples"]


def test_every_endpoint_is_listed_once(document: dict[str, Any]) -> None:
    listed = [(path, method) for path, item in document["paths"].items() for method in item]
    assert sorted(listed) == sorted(ENDPOINTS)
    assert not [path for path, _ in listed if path.startswith("/v1")]


def test_operations_have_ids_that_differ(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(set(ids)) == len(ids) == len(ENDPOINTS)


def test_every_listed_endpoint_is_served(main: Service, document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method in item:
            answer = main.client.request(
                method, path.replace("{decision_id}", "unknown").replace("{name}", "x")
            )
            assert "no endpoint" not in answer.text, (method, path)
            assert answer.status_code not in (405, 500), (method, path)


def test_the_bounds_of_a_request_are_in_the_document(document: dict[str, Any]) -> None:
    n = document["components"]["schemas"]["GenerateBody"]["properties"]["n"]["anyOf"][0]
    assert (n["minimum"], n["maximum"]) == (1, 64)
    assert document["components"]["schemas"]["GenerateBody"]["additionalProperties"] is False
    (key,) = document["paths"]["/feedback"]["post"]["parameters"]
    assert (key["name"].lower(), key["in"], key["required"]) == ("idempotency-key", "header", False)


def test_the_statuses_of_refusals_are_in_the_document(document: dict[str, Any]) -> None:
    for path, method, statuses in (
        ("/generate", "post", {"200", "422", "429", "503", "504"}),
        ("/feedback", "post", {"200", "404", "409", "410", "422"}),
        ("/decisions/{decision_id}", "get", {"200", "404", "410"}),
        ("/decisions/{decision_id}", "delete", {"204", "404", "410"}),
        ("/export", "get", {"200", "422", "503"}),
        ("/arms", "post", {"202", "403", "409", "422", "503"}),
        ("/arms/{name}", "patch", {"200", "403", "404", "409", "422", "503"}),
        ("/readyz", "get", {"200", "503"}),
    ):
        responses = document["paths"][path][method]["responses"]
        assert statuses <= responses.keys()
        for status in statuses - {"200", "202", "204"}:
            schema = responses[status]["content"]["application/json"]["schema"]["$ref"]
            assert schema.rpartition("/")[2] == ("Readiness" if path == "/readyz" else "ErrorBody")


def test_the_examples_of_generate_work(main: Service, document: dict[str, Any]) -> None:
    bodies = examples(document, "/generate")
    assert bodies
    for body in bodies:
        answer = main.client.post("/generate", json=body)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["candidates"]) == body["n"]


def test_the_examples_of_feedback_work_on_a_fresh_decision(main: Service, document: dict[str, Any]) -> None:
    bodies = examples(document, "/feedback")
    assert bodies
    for body in bodies:
        answer = main.client.post("/feedback", json=body | {"decision_id": main.decide()})
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "recorded"


def test_the_example_of_a_batch_works_on_fresh_decisions(main: Service, document: dict[str, Any]) -> None:
    (text,) = examples(document, "/feedback/batch")
    lines = [json.loads(line) | {"decision_id": main.decide()} for line in text.splitlines()]
    assert lines
    answer = main.client.post("/feedback/batch", content="".join(json.dumps(line) + "\n" for line in lines))
    assert answer.status_code == 200
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["status"] for line in results] == ["recorded"] * len(lines)


def test_the_pages_of_the_document_are_served(main: Service) -> None:
    answer = main.client.get("/docs")
    assert answer.status_code == 200
    assert "/openapi.json" in answer.text
