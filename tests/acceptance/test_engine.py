"""The whole service on the real vLLM engine: what a client sees."""

import json
import math
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from laserve.config import load
from laserve.models.packaged import prepare

pytestmark = pytest.mark.engine

DOCUMENTS = [
    {"title": "Orrin", "text": "Orrin is a village of 310 people who raise sheep."},
    {"title": "Orrin bridge", "text": "The bridge of Orrin was opened in 1907 by the mayor, Ida Lund."},
    {"title": "Velm", "text": "Velm has a market and a harbour clock."},
]
QUESTION = {"question": "when was the bridge of orrin opened", "documents": DOCUMENTS, "n": 4}


def post(client: httpx.Client, path: str, body: dict[str, object]) -> dict:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_a_question_is_answered_from_its_documents_with_the_best_scored_candidate(
    engine: httpx.Client,
) -> None:
    answer = post(engine, "/generate", QUESTION | {"temperature": 0.3})
    assert "1907" in answer["text"]
    assert len(answer["candidates"]) == 4
    assert answer["score"] == max(candidate["score"] for candidate in answer["candidates"])
    assert all(candidate["tokens"] >= 1 for candidate in answer["candidates"])
    assert all(
        math.isfinite(candidate["logprob"]) and candidate["logprob"] <= 0
        for candidate in answer["candidates"]
    )
    assert answer["usage"]["prompt_tokens"] > 100
    assert answer["degraded"] == []


def test_references_are_recorded_once_and_move_log_and_metrics_by_exactly_one(engine: httpx.Client) -> None:
    decision = post(engine, "/generate", QUESTION)
    position = engine.get("/policy").json()["log_position"]
    recorded = metric(engine, "laserve_feedback_total", outcome="recorded")
    body = {"decision_id": decision["decision_id"], "references": ["1907"]}

    first = post(engine, "/feedback", body)
    second = post(engine, "/feedback", body)

    assert (first["status"], second["status"]) == ("recorded", "duplicate")
    assert first["reward"] == second["reward"]
    assert engine.get("/policy").json()["log_position"] == position + 1
    assert metric(engine, "laserve_feedback_total", outcome="recorded") == recorded + 1


def test_a_stream_gives_every_candidate_and_then_the_decision(engine: httpx.Client) -> None:
    events = []
    with engine.stream("POST", "/generate", json=QUESTION | {"stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in response.iter_lines():
            if line.startswith("event:"):
                name = line.partition(":")[2].strip()
            elif line.startswith("data:"):
                events.append((name, json.loads(line.partition(":")[2])))
    assert [name for name, _ in events] == ["candidate"] * 4 + ["decision"]
    decision = events[-1][1]
    assert {data["index"] for name, data in events if name == "candidate"} == {0, 1, 2, 3}
    for name, data in events[:-1]:
        assert decision["candidates"][data["index"]]["text"] == data["text"], name


def test_messages_and_prompts_are_answered_too(engine: httpx.Client) -> None:
    messages = [{"role": "user", "content": "Say hello."}]
    chat = post(engine, "/generate", {"messages": messages, "n": 2, "max_tokens": 8})
    raw = post(engine, "/generate", {"prompt": "Once upon a time", "n": 2, "max_tokens": 8})
    assert chat["text"]
    assert raw["text"]
    # Eight sampled tokens at most, counted for both candidates.
    assert 2 <= chat["usage"]["completion_tokens"] <= 16


@pytest.mark.parametrize("words", [20, 3000])
def test_a_seed_gives_the_same_candidates_again_also_for_a_long_prompt(
    engine: httpx.Client, words: int
) -> None:
    # A prefill longer than the engine's default batch once killed it when the request was seeded.
    body = {
        "prompt": "sheep and bridge " * (words // 2),
        "n": 2,
        "seed": 11,
        "max_tokens": 8,
        "temperature": 1.0,
    }
    texts = [[c["text"] for c in post(engine, "/generate", body)["candidates"]] for _ in range(2)]
    assert texts[0] == texts[1]
    assert texts[0][0] != texts[0][1], "the candidates of one request differ"


def test_documents_lose_tokens_when_the_model_is_too_short_for_them(engine: httpx.Client) -> None:
    long = {"title": "Sheep", "text": "Sheep eat grass on the hills of Orrin. " * 1500}
    answer = post(engine, "/generate", QUESTION | {"documents": [long, *DOCUMENTS], "n": 1, "temperature": 0})
    assert answer["truncated"]
    assert "1907" in answer["text"]


def test_a_prompt_that_does_not_fit_is_refused_with_the_bound(engine: httpx.Client) -> None:
    answer = engine.post("/generate", json={"prompt": "sheep " * 9000})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "prompt"
    assert "the model takes at most 8064" in answer.json()["error"]["message"]


def test_a_request_out_of_time_is_504_and_leaves_the_engine_idle(engine: httpx.Client) -> None:
    answer = engine.post("/generate", json={"prompt": "Once", "n": 8, "max_tokens": 2000, "timeout_s": 0.2})
    assert answer.status_code == 504
    assert answer.json()["error"]["param"] == "timeout_s"
    # The next request is served by the same engine; by then the aborted one no longer runs.
    post(engine, "/generate", {"prompt": "Once", "n": 1, "max_tokens": 1})
    assert metric(engine, "vllm:num_requests_running") == 0


def test_logprobs_are_the_models_raw_ones_with_the_stop_token(engine: httpx.Client) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prompt = "The capital of France is"
    body = {"prompt": prompt, "n": 1, "temperature": 0, "max_tokens": 40, "stop": ["."]}
    (candidate,) = post(engine, "/generate", body)["candidates"]
    assert candidate["finish_reason"] == "stop"
    path: Path = prepare("smollm2-135m-instruct", load().cache_dir.expanduser())
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    head = tokenizer(prompt).input_ids
    ids = tokenizer(prompt + candidate["text"] + ".").input_ids
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    tail = range(len(head), len(ids))
    expected = sum(float(logits[position - 1, ids[position]]) for position in tail)
    assert candidate["tokens"] == len(tail)
    # bfloat16 in the engine, float32 here.
    assert candidate["logprob"] == pytest.approx(expected, abs=0.05 * len(tail) + 0.1)
