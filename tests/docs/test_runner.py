"""A wrong block of the documentation is caught, with its page and line."""

import json
from pathlib import Path

import pytest

from pages.markdown import Page
from pages.snippets import SnippetError, run_page


def page(*blocks: str) -> Page:
    """A page of blocks; `bash: TEXT` is a block of that language, all else is text of the page."""
    parts = ["# Title"]
    for block in blocks:
        language, colon, text = block.partition(": ")
        parts.append(f"```{language}\n{text}\n```" if colon and language.isalpha() else block)
    return Page("page.md", "\n\n".join(parts) + "\n")


WRONG = {
    "an option that the command has not": (
        "bash: laserve export --ouput x",
        "laserve export has no option --ouput",
    ),
    "a command that is not there": ("bash: laserve data inspct x", "laserve data has no command 'inspct'"),
    "an option of a service": ("bash: laserve serve --prot 1", "laserve serve has no option --prot"),
    "a value that the command refuses": (
        "bash: laserve data inspect none.jsonl",
        "'none.jsonl' does not exist",
    ),
    "a file of deploy": ("bash: cat deploy/none.yaml", "there is no deploy/none.yaml"),
    "a target of make": ("bash: make srve", "the Makefile has no srve"),
    "a command in a pipe": ("bash: false | cat", "ended with status 1"),
    "shell that cannot be read": ("bash: if true", "syntax error"),
    "an installation": ("bash: cd . && pip install laserve || true", "pip does not run in a test"),
    "an exception": ("python: {}['arm']", "KeyError: 'arm'"),
    "an unknown setting": ("yaml: policy: {alhpa: 1}", "policy.alhpa"),
    "an unknown setting of a file": ("yaml: # mine.yaml\npolicy: {alhpa: 1}", "policy.alhpa"),
    "an unknown option of an arm": (
        "yaml: arms: [{name: a, kind: vllm, options: {adaptor: x}}]",
        "kind 'vllm' has no option 'adaptor'",
    ),
    "an unknown policy": ("yaml: policy: {name: lincub}", "no policy 'lincub'"),
    "another file in YAML": ("yaml: # other.yml\na: [", "cannot be read"),
    "a configuration of Prometheus": ("yaml: # prometheus.yml\nscrape_confgs: []", "scrape_confgs"),
    "JSON": ('json: {"a": }', "cannot be read"),
    "a line of JSON": ('ndjson: {"a": 1}\n{"a" 2}', "cannot be read"),
    "PromQL": ("promql: sum(rate(laserve_reward_sum[5m])", "unclosed left parenthesis"),
    "one of several expressions": ("promql: sum(up)\n\nsum(up", "unclosed left parenthesis"),
    "a language that nothing runs": ("perl: print 1", "```perl is none of the languages"),
    "no language": ("Text.\n\n```\nlaserve serve\n```", "``` is none of the languages"),
    "a decision that no block made": ("bash: echo PASTE-THE-DECISION-ID", "no block before this one printed"),
    "a comment": ("<!-- no run: installs -->\n```bash\ntrue\n```", "is no comment that a block may have"),
    "a reason": ("<!-- not run: boring -->\n```bash\ntrue\n```", "not run: boring is none of"),
    "an option in a block that does not run": (
        "<!-- not run: needs a GPU -->\n```bash\nlaserve serve --confg deploy/gpu.yaml\n```",
        "laserve serve has no option --confg",
    ),
    "Python that does not run": ("<!-- not run: installs -->\n```python\nimport\n```", "invalid syntax"),
    "YAML that does not run": ("<!-- not run: needs Docker -->\n```yaml\na: [\n```", "cannot be read"),
    "an error that does not come": ("<!-- fails: gone -->\n```bash\ntrue\n```", "should fail, and did not"),
    "another error than announced": (
        "<!-- fails: gone -->\n```bash\necho here; false\n```",
        "did not print 'gone'",
    ),
    "settings that are not refused": (
        "<!-- fails: gone -->\n```yaml\nlog: {level: debug}\n```",
        "should be refused",
    ),
    "a hidden command": ("<!-- before: false -->\n```bash\ntrue\n```", "ended with status 1"),
}


@pytest.mark.parametrize(("block", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_block_is_named_with_its_page_and_line(block: str, message: str, tmp_path: Path) -> None:
    wrong = page("text: first", block)
    with pytest.raises(SnippetError) as raised:
        run_page(wrong, tmp_path)
    (*_, last) = wrong.blocks()
    assert str(raised.value).startswith(f"page.md:{last.line}: ")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("block", "message"),
    {
        "an answer that is an error": (
            "bash: curl -s http://127.0.0.1:8000/feedback -H 'Content-Type: application/json' -d '{}'",
            '"param":"decision_id"',
        ),
        "a client's error": (
            "python: from laserve_client import Client\nClient('http://127.0.0.1:8000').generate(prompt='')",
            "prompt",
        ),
    }.values(),
)
def test_an_answer_that_is_an_error_fails_its_block(block: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SnippetError) as raised:
        run_page(page(block), tmp_path)
    assert message in str(raised.value)


def test_settings_that_stop_the_start_of_a_service_are_shown(tmp_path: Path) -> None:
    blocks = page("bash: echo 'policy: {alhpa: 1}' >wrong.yaml", "bash: laserve serve --config wrong.yaml")
    with pytest.raises(SnippetError, match=r"page\.md:8: (?s:.*)policy\.alhpa"):
        run_page(blocks, tmp_path)


def test_blocks_of_a_page_share_files_a_service_and_the_decision(tmp_path: Path) -> None:
    ask = (
        "curl -s http://127.0.0.1:8000/generate -H 'Content-Type: application/json' -d '{\"prompt\": \"a\"}'"
    )
    teach = "curl -s localhost:8000/feedback -H 'Content-Type: application/json' -d @body.json"
    run_page(
        page(
            "yaml: # mine.yaml\npolicy: {name: lints}\nlog: {level: '${LEVEL:-info}'}",
            "bash: make serve",
            f"bash: {ask} | tee first.json",
            'bash: cat >body.json <<\'END\'\n{"decision_id": "PASTE-THE-DECISION-ID", "reward": 1}\nEND',
            f"bash: {teach} >taught.json",
            "<!-- fails: not_found -->\n```bash\ncurl -s http://127.0.0.1:8000/decisions/none\n```",
            "bash: laserve state verify >verified.txt\n.venv/bin/laserve ope --policy random --json ope.json",
            "bash: export LASERVE_LOG__FORMAT=json\n"
            "LASERVE_POLICY__ALPHA=0.7 laserve serve --port 8000 \\\n  --config mine.yaml &",
            "python: # policy.py\nimport httpx, json\nfrom pathlib import Path\n"
            "policy = httpx.get('http://127.0.0.1:8000/policy').json()\n"
            "Path('policy.json').write_text(json.dumps(policy))",
            "<!-- stop the service -->\n```bash\ntest -f ~/.local/share/laserve/laserve.db\n"
            "laserve state verify\n```",
            "<!-- before: laserve demo --rows 4 -->\n```bash\n"
            "laserve export --with-feedback --out mine.jsonl\n```",
        ),
        tmp_path,
    )
    assert json.loads((tmp_path / "taught.json").read_text())["status"] == "recorded"
    policy = json.loads((tmp_path / "policy.json").read_text())
    assert (policy["name"], policy["parameters"]["alpha"], policy["decisions"]) == ("lints", 0.7, 1)
    assert "policy.json" in (tmp_path / "policy.py").read_text()
    assert len((tmp_path / "mine.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize("command", ["inspect {0}", "inspect --strict {0}"])
@pytest.mark.parametrize("name", ["questions", "preferences", "correctness", "export", "requests"])
def test_the_sample_files_can_be_read(name: str, command: str, tmp_path: Path) -> None:
    run_page(page(f"bash: laserve data {command.format(f'{name}.jsonl')}"), tmp_path)


def test_a_page_without_blocks_makes_nothing(tmp_path: Path) -> None:
    run_page(page("text: a picture in letters", "mermaid: graph"), tmp_path)
    assert list(tmp_path.iterdir()) == []
