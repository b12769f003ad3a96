"""A row of one decision that a torn page has damaged costs that decision alone."""

import json
from pathlib import Path

import httpx
import pytest

from acceptance.wire import samples
from integration.operation import FAKE, on_disk, sql, verified_digest
from processes import Server, serving

#: What happens to the row.
DAMAGES = {
    "a context that is cut": "x = substr(x, 1, 64)",
    "a context that is no number": "x = CAST(substr(x, 1, 456) || x'000000000000f87f' AS BLOB)",
    "a context that is absurdly large": "x = CAST(substr(x, 1, 456) || x'000000000000507f' AS BLOB)",
    "a record that is broken": "record = substr(record, 1, 100)",
}


def decide(server: Server) -> str:
    answer = server.client.post("/generate", json={"prompt": "north of the river", "n": 2})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["decision_id"])


def check_damaged(answer: httpx.Response) -> None:
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("server_error", "damaged")


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES.keys())
def test_feedback_on_a_damaged_decision_is_refused_and_all_other_feedback_is_taken(
    tmp_path: Path, how: str
) -> None:
    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path)) as server:

        def teach(decision_id: str) -> httpx.Response:
            return server.client.post("/feedback", json={"decision_id": decision_id, "reward": 1})

        assert teach(decide(server)).json()["learned"]
        sick, *others = [decide(server) for _ in range(4)]
        sql(tmp_path, f"UPDATE decisions SET {how} WHERE id = ?", sick)
        for decision_id in others[:2]:
            check_damaged(teach(sick))
            assert teach(decision_id).json()["learned"]
            assert server.client.get("/readyz").status_code == 200
        lines = [{"decision_id": each, "reward": 1} for each in (sick, others[2], sick)]
        body = "".join(json.dumps(line) + "\n" for line in lines)
        headers = {"Content-Type": "application/x-ndjson"}
        batch = server.client.post("/feedback/batch", content=body, headers=headers)
        assert batch.status_code == 200
        told = [json.loads(line) for line in batch.text.splitlines()]
        assert [each.get("error", {}).get("code") for each in told] == ["damaged", None, "damaged"]
        assert told[1]["status"] == "recorded"
        assert server.client.get("/readyz").status_code == 200
        shown = samples(server.client.get("/metrics").text)
        assert shown["laserve_feedback_unlearned_total", frozenset({("reason", "damaged")})] == 4
        digest = server.client.get("/policy").json()["digest"]
        assert server.client.delete(f"/decisions/{sick}").status_code == 204
        assert teach(sick).status_code == 410
        assert server.stop() == 0
        assert "Traceback" not in server.output()
    assert verified_digest(tmp_path) == digest
    with serving(tmp_path / "log again", *FAKE, env=on_disk(tmp_path)) as server:
        assert server.client.get("/policy").json()["digest"] == digest
        assert sql(tmp_path, "SELECT count(*) FROM feedback") == [(4,)]
