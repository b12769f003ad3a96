"""API keys: who may ask, and whose feedback is whose."""

import httpx
import httpx_sse
import pytest

from acceptance.wire import Service
from laserve.api.bodies.answers import ErrorBody

ALICE = {"Authorization": "Bearer s3cret"}
BOB = {"Authorization": "Bearer hunter2"}
ENDPOINTS = [
    ("POST", "/generate"),
    ("POST", "/feedback"),
    ("POST", "/feedback/batch"),
    ("GET", "/decisions/x"),
    ("DELETE", "/decisions/x"),
    ("GET", "/export"),
    ("GET", "/arms"),
    ("GET", "/arms/x"),
    ("POST", "/arms"),
    ("PATCH", "/arms/x"),
    ("GET", "/policy"),
]


def ask(keyed: Service, headers: dict[str, str], **body: object) -> str:
    answer = keyed.client.post("/generate", json={"prompt": "a b", "n": 2} | body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["decision_id"]


def tell(keyed: Service, headers: dict[str, str], decision_id: str, **body: object) -> httpx.Response:
    return keyed.client.post("/feedback", json={"decision_id": decision_id} | body, headers=headers)


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_without_a_key_nothing_is_answered(keyed: Service, method: str, path: str, prefix: str) -> None:
    body = {"prompt": "a"} if path == "/generate" else {"decision_id": "x", "reward": 1}
    answer = keyed.client.request(method, prefix + path, json=body if method == "POST" else None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = ErrorBody.model_validate_json(answer.content, strict=True).error
    assert (error.type, error.code) == ("authentication_error", "invalid_api_key")
    assert error.param == "Authorization"
    assert error.message.startswith("Authorization: ")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer s3cre"},
        {"Authorization": "Bearer s3cretx"},
        {"Authorization": "Bearer s3cret hunter2"},
        {"Authorization": "Basic s3cret"},
        {"Authorization": "s3cret"},
        {"Authorization": "Bearer alice"},
        {"Authorization": "Bearer alice:s3cret"},
        {"X-API-Key": "s3cret"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
def test_with_anything_but_a_known_key_nothing_is_answered(keyed: Service, headers: dict[str, str]) -> None:
    written = keyed.decisions()
    answer = keyed.client.post("/generate", json={"prompt": "a"}, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert keyed.decisions() == written


def test_a_header_of_strange_characters_is_refused(keyed: Service) -> None:
    answer = keyed.client.get("/arms", headers={"Authorization": b"Bearer s3cret\xff\xe9"})
    assert answer.status_code == 401


def test_a_refused_stream_is_a_plain_401(keyed: Service) -> None:
    answer = keyed.client.post("/generate", json={"prompt": "a", "stream": True})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("authorization", ["Bearer s3cret", "bearer s3cret", "Bearer hunter2"])
def test_every_known_key_is_served(keyed: Service, authorization: str) -> None:
    headers = {"Authorization": authorization}
    decision_id = ask(keyed, headers)
    assert tell(keyed, headers, decision_id, reward=1).json()["status"] == "recorded"
    for path in (f"/decisions/{decision_id}", "/arms", "/policy"):
        assert keyed.client.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_and_metrics_stay_open(keyed: Service, path: str) -> None:
    assert keyed.client.get(path).status_code == 200


def test_idempotency_keys_belong_to_the_api_key(keyed: Service) -> None:
    first, second = ask(keyed, ALICE), ask(keyed, ALICE)
    same = {"Idempotency-Key": "same"}
    assert tell(keyed, ALICE | same, first, reward=1).json()["status"] == "recorded"
    assert tell(keyed, BOB | same, second, reward=0).json()["status"] == "recorded"
    assert tell(keyed, ALICE | same, first, reward=1).json()["status"] == "duplicate"
    assert tell(keyed, BOB | same, second, reward=0).json()["status"] == "duplicate"
    assert tell(keyed, BOB | same, first, reward=1).status_code == 409


def test_feedback_without_an_idempotency_key_belongs_to_the_api_key_too(keyed: Service) -> None:
    decision_id = ask(keyed, ALICE)
    assert tell(keyed, ALICE, decision_id, reward=1).json()["status"] == "recorded"
    assert tell(keyed, BOB, decision_id, reward=0).json()["status"] == "recorded"
    assert tell(keyed, ALICE, decision_id, reward=0).status_code == 409


def test_the_secrets_appear_nowhere(keyed: Service) -> None:
    ask(keyed, ALICE)
    keyed.client.get("/arms", headers={"Authorization": "Bearer s3cret wrong"})
    assert keyed.client.get("/arms", headers={"Authorization": "Basic hunter2"}).status_code == 401
    for secret in ("s3cret", "hunter2"):
        assert secret not in keyed.server.output()
        assert secret not in keyed.client.get("/policy", headers=ALICE).text
        assert secret not in keyed.client.get("/metrics").text
        assert secret.encode() not in keyed.stored_bytes()
    assert "ready" in keyed.server.output()  # there is a log to look into


@pytest.mark.parametrize("stream", [False, True])
def test_what_clients_send_and_get_is_not_logged_even_when_debugging(keyed: Service, stream: bool) -> None:
    word = f"porcupine{stream}"  # the fake answers with words of the prompt
    body = {"prompt": f"{word} " * 20, "n": 8, "stream": stream, "metadata": {"note": f"{word} note"}}
    if stream:
        with httpx_sse.connect_sse(keyed.client, "POST", "/generate", json=body, headers=ALICE) as source:
            decision = [event.json() for event in source.iter_sse()][-1]
    else:
        decision = keyed.client.post("/generate", json=body, headers=ALICE).json()
    assert any(word in candidate["text"] for candidate in decision["candidates"])
    tell(keyed, ALICE, decision["decision_id"], references=[f"{word} reference"])
    assert word not in keyed.server.output()
