"""``laserve bench selection``, from files of questions to the report, with fakes instead of models."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from laserve.cli import main
from laserve.lab.pools.pool import read
from laserve.lab.selection import HTML, MARKDOWN, POOL
from laserve.scoring import python
from laserve.scoring.fake import FakeRewardModel

QA = [
    {
        "id": f"q{index}",
        "task": "multi-doc-qa",
        "question": f"what was opened in 19{index:02d}?",
        "documents": [{"text": f"The bridge number {index} was opened in 19{index:02d} by the mayor."}],
        "answers": [f"bridge number {index}"],
    }
    for index in range(12)
]
PAIRS = [
    {
        "id": f"p{index}",
        "domain": "harmless",
        "prompt": f"greet {index}",
        "chosen": f"hello {index}",
        "rejected": "go",
    }
    for index in range(8)
]


def lines(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    path = folder / name
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["bench", "selection", "--profile", "fake", "--orders", "2", *arguments], catch_exceptions=False
    )


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    qa, pairs = lines(tmp_path, "bridges.jsonl", QA), lines(tmp_path, "greetings.jsonl", PAIRS)
    return ["--data", qa, "--data", pairs]


def test_a_pool_is_built_and_told_as_json_markdown_and_html(tmp_path: Path, data: list[str]) -> None:
    report, out = tmp_path / "report", tmp_path / "figures.json"
    result = bench(*data, "--report", str(report), "--json", str(out))
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    assert (figures["questions"], figures["mixture"]["questions"]) == (12, 20)
    assert set(figures["tasks"]) == {"multi-doc-qa", "harmless"}
    assert figures["machine"]
    assert {path.name for path in report.iterdir()} == {HTML, MARKDOWN, POOL}
    assert "linucb:delayed" in result.output
    assert "Findings" in result.output


def test_secrets_of_arms_are_in_no_file_that_is_written(
    tmp_path: Path, data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plugin(FakeRewardModel):
        def __init__(self, **options: Any) -> None:
            super().__init__()

    monkeypatch.setattr(python, "find", lambda name: Plugin)
    options = {"name": "stub", "unit": "words", "token": "s3cret", "url": "http://ann:s3cret@host"}
    options |= {"nested": [{"Authorization": "s3cret"}], "extra_headers": "s3cret"}
    arms = [
        {"name": "consensus", "kind": "consensus"},
        {"name": "stub", "kind": "python", "options": options},
    ]
    config = tmp_path / "laserve.yaml"
    config.write_text(json.dumps({"arms": arms}))
    report, out = tmp_path / "report", tmp_path / "selection.json"
    result = bench(*data, "--config", str(config), "--report", str(report), "--json", str(out))
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())["pool"]["arms"][1]["options"]
    assert figures == {"name": "stub", "unit": "words", "url": "http://host", "nested": [{}]}
    for file in (out, *report.iterdir()):
        assert b"s3cret" not in file.read_bytes(), file


def test_a_pool_that_is_there_is_not_built_again(tmp_path: Path, data: list[str]) -> None:
    pool = str(tmp_path / "pool.parquet")
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert bench(*data, "--pool", pool, "--json", str(first)).exit_code == 0
    built = Path(pool).read_bytes()
    assert bench("--pool", pool, "--json", str(second)).exit_code == 0
    assert Path(pool).read_bytes() == built
    assert first.read_text() == second.read_text()


def test_the_data_choose_the_questions_of_a_pool(tmp_path: Path, data: list[str]) -> None:
    pool, out = str(tmp_path / "pool.parquet"), tmp_path / "figures.json"
    assert bench(*data, "--pool", pool).exit_code == 0
    assert bench(*data[:2], "--rows", "5", "--pool", pool, "--json", str(out)).exit_code == 0
    figures = json.loads(out.read_text())
    assert (figures["mixture"]["questions"], figures["metrics"]) == (5, {})
    other = lines(tmp_path, "others.jsonl", QA)
    result = bench("--data", other, "--pool", pool)
    assert result.exit_code == 1
    assert "no question of --data" in result.output


def test_questions_that_an_arm_was_trained_on_are_not_scored_by_it_and_not_replayed(
    tmp_path: Path, data: list[str]
) -> None:
    seen = tmp_path / "seen.json"
    seen.write_text('{"relevance": ["q0", "q1"]}')
    pool, out = tmp_path / "pool.parquet", tmp_path / "figures.json"
    assert bench(*data, "--pool", str(pool), "--trained-on", str(seen), "--json", str(out)).exit_code == 0
    figures = json.loads(out.read_text())
    assert figures["questions"] == 10
    assert figures["pool"]["left_out"] == {"an arm was trained on it": 2}
    assert len(read(pool).questions) == 20, "the pool keeps them, for its other arms"


def test_arms_that_are_cross_fitted_count_as_one(tmp_path: Path, data: list[str]) -> None:
    out = tmp_path / "figures.json"
    fit = ["--cross-fit", "both=relevance,consensus"]
    assert bench(*data, "--pool", str(tmp_path / "p.parquet"), *fit, "--json", str(out)).exit_code == 0
    assert [arm["name"] for arm in json.loads(out.read_text())["pool"]["arms"]] == ["loglik", "both"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data: needed to build a pool"),
        (["--cross-fit", "both"], "--cross-fit: is NAME=ARM,ARM, not 'both'"),
        (["--policy", "nothing"], "--policy: no policy 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    tmp_path: Path, data: list[str], arguments: list[str], message: str
) -> None:
    given = [*data, *arguments] if arguments else []
    result = bench(*given, "--pool", str(tmp_path / "pool.parquet"))
    assert result.exit_code == 1
    assert f"laserve: {message}" in result.output
    assert "building" not in result.output, "before anything is built"


@pytest.mark.parametrize("option", ["--pool", "--json", "--report"])
def test_what_cannot_be_written_is_refused_before_the_pool_is_built(
    tmp_path: Path, data: list[str], option: str
) -> None:
    (tmp_path / "file").touch()
    targets = {name: str(tmp_path / name) for name in ("--pool", "--json", "--report")}
    targets[option] = str(tmp_path / "file" / "out")
    result = bench(*data, *(part for pair in targets.items() for part in pair))
    assert result.exit_code != 0
    assert f"{option}: {tmp_path / 'file' / 'out'}" in result.output.replace("\n", "")
    assert "cannot be written" in result.output
    assert "building" not in result.output


def test_rows_that_are_left_out_are_still_counted_when_the_pool_is_read_again(tmp_path: Path) -> None:
    rows = [
        *QA,
        {"id": "d", "prompt": "?", "candidates": [{"text": "a"}, {"text": "b"}], "rewards": [None, None]},
    ]
    pool, out = tmp_path / "pool.parquet", tmp_path / "figures.json"
    assert bench("--data", lines(tmp_path, "bridges.jsonl", rows), "--pool", str(pool)).exit_code == 0
    assert bench("--pool", str(pool), "--json", str(out)).exit_code == 0
    assert list(json.loads(out.read_text())["pool"]["left_out"].values()) == [1]


def test_without_matplotlib_a_report_is_refused_before_anything_is_built(
    tmp_path: Path, data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = bench(*data, "--report", str(tmp_path / "report"))
    assert result.exit_code == 1
    assert result.output.startswith("laserve: --report: ")
    assert "pip install 'laserve[bench]'" in result.output
    assert not (tmp_path / "report").exists()
    assert bench(*data, "--pool", str(tmp_path / "pool.parquet")).exit_code == 0, "only charts need it"


@pytest.mark.parametrize(
    ("option", "path"),
    [("--report", "file/report"), ("--pool", "file/pool.parquet"), ("--json", "no/figures")],
)
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_built(
    tmp_path: Path, data: list[str], option: str, path: str
) -> None:
    (tmp_path / "file").touch()
    result = bench(*data, option, str(tmp_path / path))
    assert result.exit_code == 1
    assert result.output.startswith(f"laserve: {option}: {tmp_path / path}")
    assert "cannot be written" in result.output
    assert "building" not in result.output


def test_a_pool_of_two_files_of_one_name_is_replayed_for_one_of_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    a, b = lines(tmp_path / "a", "test.jsonl", QA), lines(tmp_path / "b", "test.jsonl", QA[:7])
    pool, out = tmp_path / "pool.parquet", tmp_path / "figures.json"
    assert bench("--data", a, "--data", b, "--pool", str(pool)).exit_code == 0
    assert {question.file for question in read(pool).questions} == {"a/test.jsonl", "b/test.jsonl"}
    assert bench("--data", b, "--pool", str(pool), "--json", str(out)).exit_code == 0
    assert json.loads(out.read_text())["questions"] == 7


def test_records_that_cannot_be_read_are_counted_or_refused_with_strict(tmp_path: Path) -> None:
    path = lines(tmp_path, "bridges.jsonl", [*QA, {"question": "why?", "answers": [{}]}])
    pool, out = tmp_path / "pool.parquet", tmp_path / "figures.json"
    arguments = ["--data", path, "--pool", str(pool), "--json", str(out)]
    result = bench(*arguments, "--strict")
    assert result.exit_code == 1
    assert "line 13" in result.output
    assert not pool.exists()
    assert bench(*arguments).exit_code == 0
    assert json.loads(out.read_text())["pool"]["left_out"] == {"cannot be read": 1}


def test_rows_that_cannot_be_used_are_counted_by_their_reason(tmp_path: Path) -> None:
    rows = [*QA, {"id": "plain", "prompt": "greet me"}]
    data, pool = lines(tmp_path, "bridges.jsonl", rows), tmp_path / "pool.parquet"
    result = bench("--data", data, "--pool", str(pool))
    assert result.exit_code == 0
    assert read(pool).left_out == {"neither right answers nor two stored answers": 1}
    assert f"{data}: left out: neither right answers nor two stored answers (1)" in result.output


def test_a_file_without_a_usable_row_is_refused_by_name_and_nothing_is_left(tmp_path: Path) -> None:
    good = lines(tmp_path, "bridges.jsonl", QA)
    bad = lines(tmp_path, "requests.jsonl", [{"prompt": "greet me"}])
    result = bench("--data", good, "--data", bad, "--pool", str(tmp_path / "pool.parquet"))
    assert result.exit_code == 1
    lacking = "neither right answers nor two stored answers (1)"
    assert f"laserve: --data: {bad} has no row that can be replayed: {lacking}\n" in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"bridges.jsonl", "requests.jsonl"}


def test_documents_are_cut_before_the_pool_is_built(tmp_path: Path) -> None:
    documents = [{"text": f"Text number {index} of the town. " * 40} for index in range(4)]
    path = lines(tmp_path, "towns.jsonl", [row | {"documents": documents} for row in QA])
    lengths = {}
    for name, cut in {"whole": [], "two": ["--documents", "2"], "one": ["--passages", "1"]}.items():
        pool = tmp_path / f"{name}.parquet"
        assert bench("--data", path, "--pool", str(pool), *cut).exit_code == 0
        built = read(pool)
        lengths[name] = built.questions[0].x[built.recipe.features.index("log_prompt_tokens")]
    assert lengths["one"] < lengths["two"] < lengths["whole"]
