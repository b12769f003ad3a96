"""`laserve demo` on files of the user's own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from laserve.cli import main
from processes import Server, serving

QUESTIONS: list[dict[str, Any]] = [
    {
        "id": f"q{year}",
        "task": "single-doc-qa",
        "question": "When was the bridge opened?",
        "documents": [{"text": f"The bridge was opened in {year}."}],
        "answers": str(year),
    }
    for year in (1907, 1911)
]
PROBLEMS = [{"question": "What are 2 and 3?", "answer": "2 + 3 = 5\n#### 5"}]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "log", "--profile", "fake") as server:
        yield server


def demo(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["demo", "--url", url, *arguments], catch_exceptions=False)


def lines(folder: Path, rows: list[dict[str, Any]], name: str = "questions.jsonl") -> str:
    path = folder / name
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_a_right_answer_that_is_one_text_is_sent_back_whole(server: Server, tmp_path: Path) -> None:
    result = demo(server.url, "--data", lines(tmp_path, QUESTIONS), "-n", "2")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in server.client.get("/export").text.splitlines()]
    sent = {row["metadata"]["id"]: [word["value"] for word in row["feedback"]] for row in rows}
    assert sent == {"q1907": [["1907"]], "q1911": [["1911"]]}
    assert server.client.get("/policy").json()["learn_from"] == "references"


class Page(BaseHTTPRequestHandler):
    """A server that is no laserve."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_another_server_is_told_in_one_line(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Page) as other:
        threading.Thread(target=other.handle_request).start()
        url = f"http://127.0.0.1:{other.server_port}"
        result = demo(url, "--data", lines(tmp_path, QUESTIONS))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"laserve: --url: no laserve at {url}: ")
    assert result.stderr.count("\n") == 1


def test_the_table_counts_the_answers_that_were_learned_from(server: Server, tmp_path: Path) -> None:
    first = demo(server.url, "--data", lines(tmp_path, QUESTIONS), "-n", "2")
    assert "2 questions, n = 2, 2 learned from" in first.stdout
    second = demo(server.url, "--data", lines(tmp_path, PROBLEMS), "-n", "2")
    assert "1 question, n = 2, 0 learned from" in second.stdout


def test_questions_of_several_metrics_are_all_learned_and_other_rows_counted(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "figures.json"
    data = lines(tmp_path, [*QUESTIONS, *PROBLEMS, {"prompt": "greet me"}])
    result = demo(server.url, "--data", data, "-n", "2", "--json", str(out))
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    assert figures["metrics"] == {"f1": 2, "final_number": 1}
    policy = server.client.get("/policy").json()
    assert figures["learned"] == figures["questions"] == policy["decisions"] == 3
    assert policy["learn_from"] == "candidate_rewards"
    assert "Quality against the right answers" in result.output
    assert f"{data}: left out: no right answers (1)" in caplog.text


@pytest.mark.parametrize(
    ("url", "arguments", "rows", "message"),
    [
        ("http://127.0.0.1:1", [], QUESTIONS, "--url: no service at http://127.0.0.1:1"),
        ("http://ann:s3cret@127.0.0.1:1", [], QUESTIONS, "--url: no service at http://127.0.0.1:1"),
        ("http://[::1", [], QUESTIONS, "--url, --api-key: base_url: Invalid port"),
        ("", [], [{"prompt": "greet me"}], "has no row that can be asked: no right answers (1)"),
        ("", ["--strict"], [*QUESTIONS, {"question": 5, "answers": ["5"]}], "line 3"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    tmp_path: Path, url: str, arguments: list[str], rows: list[dict[str, Any]], message: str
) -> None:
    result = demo(url or "http://127.0.0.1:1", "--data", lines(tmp_path, rows), *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "s3cret" not in result.output
