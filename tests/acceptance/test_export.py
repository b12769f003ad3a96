"""`GET /export` and `laserve export`: the log as lines that a reward model can be trained on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.wire import FORMS, Service
from laserve.api.bodies.answers import ErrorBody
from laserve.storage import pages
from laserve_client import Client
from processes import serving

REFERENCES = ["Ida Lund", "the mayor of orrin"]
#: More than are read at once.
MANY = 2 * pages.SIZE + 5


def export(service: Service, path: str = "/export", **query: Any) -> list[dict[str, Any]]:
    answer = service.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].split(";")[0] == "application/x-ndjson"
    assert answer.content.endswith(b"\n") or not answer.content
    return [json.loads(line) for line in answer.content.split(b"\n")[:-1]]


def line_of(service: Service, decision_id: str) -> dict[str, Any]:
    (line,) = [line for line in export(service) if line["id"] == decision_id]
    return line


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that learns from `candidate_rewards`, on a folder of its own."""
    folder = tmp_path_factory.mktemp("export")
    env = {
        "LASERVE_DATA_DIR": str(folder),
        "LASERVE_STORAGE__KIND": "sqlite",
        "LASERVE_POLICY__LEARN_FROM": "candidate_rewards",
    }
    with serving(folder / "log", "--profile", "fake", env=env) as server:
        yield Service(server, folder)


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("form", FORMS)
def test_a_line_tells_what_was_asked_and_what_was_answered(service: Service, form: str, prefix: str) -> None:
    answer = service.generate(**FORMS[form], n=4, task="math", metadata={"source": "article 7"})
    stored = service.decision(answer["decision_id"])
    line = export(service, f"{prefix}/export")[-1]
    assert line == {
        "id": answer["decision_id"],
        "created_at": stored["created_at"],
        "task": "math",
        **{name: answer[name] for name in ("policy", "arm", "scored_by", "propensity", "index")},
        "metadata": {"source": "article 7"},
        **FORMS[form],
        "candidates": [
            {name: candidate[name] for name in ("text", "logprob", "tokens")}
            for candidate in answer["candidates"]
        ],
        "scores": stored["scores"],
        "feedback": [],
        "rewards": [None] * 4,
        "reward": None,
    }


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("reward", 0.3),
        ("thumb", "up"),
        ("chosen_index", 2),
        ("candidate_rewards", [0.1, 0.2, 0.3, 1]),
        ("references", REFERENCES),
    ],
)
def test_every_kind_of_feedback_tells_the_rewards_that_the_service_learned(
    service: Service, kind: str, value: Any
) -> None:
    answer = service.generate(**FORMS["question"], n=4)
    result = service.rate(answer["decision_id"], **{kind: value}, source="ann")
    line = line_of(service, answer["decision_id"])
    (said,) = line["feedback"]
    assert (said["kind"], said["value"], said["source"]) == (kind, 1.0 if value == "up" else value, "ann")
    assert said["metric"] == ("f1" if kind == "references" else None)
    assert said["learned"] == result["learned"] == (kind == "candidate_rewards")
    assert line["reward"] == line["rewards"][line["index"]] == said["reward"] == result["reward"]
    texts = [candidate["text"] for candidate in line["candidates"]]
    ours = [text == texts[answer["index"]] for text in texts]
    match kind:
        case "reward" | "thumb":
            assert line["rewards"] == [result["reward"] if each else None for each in ours]
        case "chosen_index":
            assert line["rewards"] == [float(text == texts[2]) for text in texts]
        case "candidate_rewards":
            assert line["rewards"] == value
        case "references":
            assert all(0 <= reward <= 1 for reward in line["rewards"])
            assert len(set(zip(texts, line["rewards"], strict=True))) == len(set(texts))


def test_what_the_policy_learned_tells_the_rewards_and_a_correction_replaces_it(service: Service) -> None:
    decision_id = service.decide(n=3)
    service.rate(decision_id, candidate_rewards=[1, 0, 0])
    service.rate(decision_id, chosen_index=2)  # stored, not learned
    assert line_of(service, decision_id)["rewards"] == [1, 0, 0]
    service.rate(decision_id, key="corrected", candidate_rewards=[0, 1, 0])
    line = line_of(service, decision_id)
    assert line["rewards"] == [0, 1, 0]
    assert [said["learned"] for said in line["feedback"]] == [True, False, True]


def test_a_deleted_decision_is_left_out(service: Service) -> None:
    gone, kept = service.decide(prompt="velvet kangaroo"), service.decide()
    service.rate(gone, references=["silver walnut"])
    assert service.client.delete(f"/decisions/{gone}").status_code == 204
    answer = service.client.get("/export")
    assert gone not in answer.text
    assert not any(word in answer.text for word in ("kangaroo", "walnut"))
    assert kept in answer.text


@pytest.mark.parametrize("server", ["hashing", "forgetful"])
@pytest.mark.usefixtures("hashing", "forgetful")
def test_what_is_not_kept_is_not_exported(request: pytest.FixtureRequest, server: str) -> None:
    service: Service = request.getfixturevalue(server)
    service.rate(service.decide(), reward=1)
    assert service.client.get("/export").content == b""


def test_filters_hold_together(service: Service) -> None:
    before = service.decide(task="chat")
    service.rate(before, reward=1)
    service.rate(service.decide(task="chat"), reward=1)
    since = time.time()
    taught = service.decide(task="chat")
    service.rate(taught, reward=1)
    silent, other = service.decide(task="chat"), service.decide()
    service.rate(other, reward=1)
    assert [line["id"] for line in export(service, since=since)] == [taught, silent, other]
    assert [line["id"] for line in export(service, since=since, task="chat")] == [taught, silent]
    assert [line["id"] for line in export(service, since=since, with_feedback=True)] == [taught, other]
    wanted = {"since": since, "task": "chat", "with_feedback": True}
    assert [line["id"] for line in export(service, **wanted)] == [taught]
    assert before in [line["id"] for line in export(service, task="chat", with_feedback=True)]
    assert export(service, task="none such") == []
    with Client(service.server.url) as client:
        assert [line["id"] for line in client.export(**wanted)] == [taught]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("since=-1", "since"),
        ("since=nan", "since"),
        ("since=yesterday", "since"),
        ("task=", "task"),
        (f"task={'x' * 65}", "task"),
        ("with_feedback=perhaps", "with_feedback"),
        ("with_feedbck=true", "with_feedbck"),
    ],
)
def test_a_parameter_that_is_refused_is_named(service: Service, query: str, param: str) -> None:
    answer = service.client.get(f"/export?{query}")
    assert answer.status_code == 422
    error = ErrorBody.model_validate_json(answer.content, strict=True).error
    assert (error.type, error.param) == ("invalid_request_error", param)
    assert error.message.startswith(f"{param}: ")


@pytest.fixture(scope="module")
def long(service: Service) -> list[str]:
    """Ids of a log of many pages, in the order of their making."""
    return [service.decide(prompt=f"number {number}", n=2) for number in range(MANY)]


def test_a_long_log_is_exported_whole_and_in_order(service: Service, long: list[str]) -> None:
    exported = [line["id"] for line in export(service)]
    assert len(set(exported)) == len(exported)
    assert [each for each in exported if each in set(long)] == long


def test_the_log_is_written_while_a_client_reads_it_slowly(service: Service, long: list[str]) -> None:
    with httpx.stream("GET", f"{service.server.url}/export", timeout=30) as answer:
        chunks = answer.iter_raw(64)
        next(chunks)
        decision_id = service.decide()
        assert service.rate(decision_id, reward=1)["status"] == "recorded"
        assert service.client.delete(f"/decisions/{decision_id}").status_code == 204
        rest = b"".join(chunks)
    assert long[-1].encode() in rest


def test_a_client_that_leaves_leaves_nothing_behind(service: Service, long: list[str]) -> None:
    with httpx.stream("GET", f"{service.server.url}/export") as answer:
        next(answer.iter_raw(64))
    assert service.get("/healthz")["status"] == "ok"
    assert "Traceback" not in service.server.output()


def run(service: Service, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "laserve", "export", "--profile", "fake", *options],
        env=os.environ | {"LASERVE_DATA_DIR": str(service.folder), "LASERVE_STORAGE__KIND": "sqlite"},
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_the_command_writes_the_same_lines_beside_the_running_service(
    service: Service, long: list[str], tmp_path: Path
) -> None:
    service.client.delete(f"/decisions/{service.decide()}")
    served = service.client.get("/export").content
    done = run(service)
    assert (done.returncode, done.stdout) == (0, served)
    exported = served.count(b"\n")
    left_out = service.rows("select count(*) from decisions where texts is null")[0][0]
    assert done.stderr.decode() == (
        f"{service.database}: {exported} decisions exported, "
        f"{left_out} left out, since their texts are not kept\n"
    )
    assert left_out >= 1
    written = run(service, "--out", str(tmp_path / "log.jsonl"), "--task", "math")
    assert (written.returncode, written.stdout) == (0, b"")
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert [json.loads(line) for line in lines] == export(service, task="math")
    assert service.decide()  # the service goes on


def test_the_command_says_why_it_wrote_nothing(service: Service, tmp_path: Path) -> None:
    refused = run(service, "--out", str(tmp_path / "no" / "folder"))
    assert refused.returncode == 1
    assert b"no/folder" in refused.stderr
    assert b"Traceback" not in refused.stderr
    full = run(service, "--out", "/dev/full")
    assert full.returncode == 1
    assert full.stderr == b"laserve: --out: /dev/full cannot be written: No space left on device\n"
    elsewhere = run(Service(service.server, tmp_path), "--out", str(tmp_path / "out"))
    assert elsewhere.returncode == 1
    assert elsewhere.stderr.startswith(b"laserve: data_dir: no database at ")
    assert not (tmp_path / "out").exists()


def test_the_command_ends_when_its_reader_has_had_enough(service: Service, long: list[str]) -> None:
    env = os.environ | {"LASERVE_DATA_DIR": str(service.folder), "LASERVE_STORAGE__KIND": "sqlite"}
    command = [sys.executable, "-m", "laserve", "export", "--profile", "fake"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["id"]
        process.stdout.close()
        output = process.stderr.read()
        status = process.wait(60)
    assert (status, output) == (128 + signal.SIGPIPE, b"")


def test_a_stop_does_not_wait_for_a_client_that_does_not_read(tmp_path: Path) -> None:
    env = {
        "LASERVE_DATA_DIR": str(tmp_path),
        "LASERVE_STORAGE__KIND": "sqlite",
        "LASERVE_SERVER__DRAIN_S": "0.2",
    }
    with serving(tmp_path / "log", "--profile", "fake", env=env) as server:
        for _ in range(6):  # far more than the sockets between the two hold
            Service(server, tmp_path).decide(
                question="where", documents=[{"text": "river " * 600_000}], n=1, max_tokens=4
            )
        with httpx.stream("GET", f"{server.url}/export", timeout=60) as answer:
            next(answer.iter_raw(64))
            assert server.stop(30) == 0
        assert "Traceback" not in server.output()
