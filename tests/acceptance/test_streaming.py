"""`POST /generate` with `stream`: server-sent events."""

from typing import Any

import pytest

from acceptance.wire import FORMS, Service, stream
from laserve.api.bodies.answers import CandidateEvent, DecisionBody


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_gives_each_candidate_and_then_one_decision(main: Service, form: str) -> None:
    events = stream(main, **FORMS[form], n=5)
    assert [event.event for event in events] == ["candidate"] * 5 + ["decision"]
    for event in events[:-1]:
        CandidateEvent.model_validate_json(event.data, strict=True)
    DecisionBody.model_validate_json(events[-1].data, strict=True)


def test_the_decision_of_a_stream_is_the_plain_answer(main: Service) -> None:
    body = FORMS["question"] | {"n": 5, "seed": 1, "arm": "consensus"}
    *candidates, last = (event.json() for event in stream(main, **body))
    plain = main.generate(**body)
    assert last.keys() == plain.keys()
    varying = ("decision_id", "timings", "why")  # identity, clock and what was learned meanwhile
    assert {k: v for k, v in last.items() if k not in varying} == {
        k: v for k, v in plain.items() if k not in varying
    }
    streamed = sorted(candidates, key=lambda candidate: candidate["index"])
    assert [candidate.pop("index") for candidate in streamed] == list(range(5))
    assert streamed == [
        {name: value for name, value in candidate.items() if name != "score"}
        for candidate in last["candidates"]
    ]


def test_a_streamed_decision_is_on_disk_and_takes_feedback(main: Service) -> None:
    decision = stream(main, prompt="a b", n=2)[-1].json()
    assert main.decision(decision["decision_id"])["text"] == decision["text"]
    assert main.rate(decision["decision_id"], reward=1)["status"] == "recorded"


def test_a_stream_may_leave_the_candidates_out_of_its_decision(main: Service) -> None:
    *candidates, last = stream(main, prompt="a b", n=2, return_candidates=False)
    assert len(candidates) == 2
    assert last.json()["candidates"] is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": "a", "n": 0}, "n"),
        ({"prompt": "a", "arm": "nobody"}, "arm"),
        ({"prompt": "a", "policy": "nothing"}, "policy"),
        ({"prompt": "a", "temperature": 0}, "temperature"),
        ({"prompt": "a " * 6000}, "prompt"),
    ],
)
def test_a_refused_stream_is_a_plain_422(main: Service, body: dict[str, Any], param: str) -> None:
    written = main.decisions()
    answer = main.client.post("/generate", json=body | {"stream": True})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["param"] == param
    assert main.decisions() == written
    assert main.sample("laserve_permits_in_use") == 0
