"""A pool is built by the service's own parts, and a run that broke off goes on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from laserve.config import Settings, load
from laserve.errors import ConfigError, EngineError, Unscorable
from laserve.lab.data.cases import Case
from laserve.lab.data.files import read_tasks
from laserve.lab.pools import build as pool_building
from laserve.lab.pools.build import build
from laserve.lab.pools.checkpoint import Checkpoint
from laserve.lab.pools.held_out import Seen
from laserve.lab.pools.pool import Pool, read
from laserve.scoring import python
from laserve.scoring.fake import FakeRewardModel
from laserve.scoring.loglik import LogLikelihood

ROWS = [
    {
        "id": f"q{index}",
        "task": "multi-doc-qa",
        "question": f"what was opened in 19{index:02d}?",
        "documents": [{"text": f"The bridge number {index} was opened in 19{index:02d}."}],
        "answers": ["bridge", f"number {index}"],
    }
    for index in range(6)
]
PAIRS = [
    {"id": f"p{index}", "prompt": "Human: hi\n\nAssistant:", "chosen": f"hello {index}", "rejected": "no"}
    for index in range(2)
]


def settings(**flags: Any) -> Settings:
    return load(profile="fake", flags=flags)


def cases(folder: Path, rows: list[dict[str, Any]], name: str = "bridges.jsonl") -> list[Case]:
    path = folder / name
    path.write_text("\n".join(map(json.dumps, rows)))
    return list(read_tasks(path).cases)


def rows(pool: Pool) -> list[str]:
    return [repr(question.to_json()) for question in pool.questions]


async def test_a_pool_holds_what_the_service_would_have_answered(tmp_path: Path) -> None:
    out = tmp_path / "pool.parquet"
    pool = await build(settings(), cases(tmp_path, ROWS), out=out)
    assert pool.arms == ("loglik", "consensus", "relevance")
    assert [arm.free for arm in pool.recipe.arms] == [True, True, False]
    question = pool.questions[0]
    assert (question.id, question.file, question.task, question.metric) == (
        "q0",
        "bridges",
        "multi-doc-qa",
        "f1",
    )
    assert len(question.x) == len(pool.recipe.features)
    assert question.x[pool.recipe.features.index("task:multi-doc-qa")] == 1.0
    np.testing.assert_array_equal(question.scores["loglik"], question.logprobs)
    assert question.texts is not None
    assert question.qualities.tolist() == [cases(tmp_path, ROWS)[0].quality(text) for text in question.texts]
    assert rows(read(out)) == rows(pool)
    assert list(tmp_path.glob("*.part")) == []


async def test_stored_answers_are_the_candidates_and_loglik_has_no_say_without_log_probabilities(
    tmp_path: Path,
) -> None:
    pool = await build(settings(), cases(tmp_path, PAIRS), out=tmp_path / "pool.parquet")
    for question in pool.questions:
        assert question.texts is not None
        by_text = dict(zip(question.texts, question.qualities, strict=True))
        assert by_text["no"] == 0.0
        assert sum(by_text.values()) == 1.0
        assert np.isnan(question.scores["loglik"]).all()
        assert np.isnan(question.logprobs).all()
        assert np.isfinite(question.scores["consensus"]).all()
        assert question.x[pool.recipe.features.index("log2_n")] == pytest.approx((1 - 3.0) / 1.5)


async def test_an_arm_is_not_asked_for_scores_of_what_it_was_trained_on(tmp_path: Path) -> None:
    seen = Seen(rows={"relevance": frozenset({"q1"})})
    pool = await build(settings(), cases(tmp_path, ROWS), out=tmp_path / "pool.parquet", seen=seen)
    assert [bool(np.isnan(question.scores["relevance"]).all()) for question in pool.questions] == [
        question.id == "q1" for question in pool.questions
    ]


async def test_a_run_that_broke_off_goes_on_and_gives_the_same_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await build(settings(), cases(tmp_path, ROWS), out=tmp_path / "whole.parquet")
    requested: list[str] = []
    question = pool_building.Builder.question

    async def counted(builder: pool_building.Builder, case: Case) -> Any:
        if len(requested) == 3:
            raise EngineError("it has died")
        requested.append(case.id)
        return await question(builder, case)

    out = tmp_path / "pool.parquet"
    monkeypatch.setattr(pool_building.Builder, "question", counted)
    with pytest.raises(EngineError):
        await build(settings(), cases(tmp_path, ROWS), out=out, at_once=1)
    part = tmp_path / "pool.parquet.part"
    part.write_text(part.read_text() + '{"id": "q5", "tor')  # the machine went down in the midst of a line
    monkeypatch.setattr(pool_building.Builder, "question", question)
    requested.clear()
    again = await build(settings(), cases(tmp_path, ROWS), out=out)
    assert rows(again) == rows(whole)
    assert not part.exists()


async def test_a_run_of_other_settings_does_not_go_on_where_this_one_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "pool.parquet"

    async def broken(*_: Any) -> Any:
        raise EngineError("it has died")

    with monkeypatch.context() as patched, pytest.raises(EngineError):
        patched.setattr(pool_building.Builder, "question", broken)
        await build(settings(), cases(tmp_path, ROWS), out=out)
    with pytest.raises(ConfigError, match=r"pool\.parquet\.part was made with another sampling"):
        await build(settings(generation={"defaults": {"n": 3}}), cases(tmp_path, ROWS), out=out)


async def test_a_question_that_does_not_fit_is_left_out_and_counted(tmp_path: Path) -> None:
    long = ROWS[0] | {"id": "long", "question": "why? " * 2000}
    small = settings(generation={"max_model_len": 4000})
    pool = await build(small, cases(tmp_path, [*ROWS[1:], long]), out=tmp_path / "pool.parquet")
    assert len(pool.questions) == len(ROWS) - 1
    assert pool.left_out == {"does not fit the generator": 1}


async def test_an_arm_that_fails_costs_its_scores_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def score(model: LogLikelihood, request: Any, candidates: Any) -> Any:
        if request.question and "1902" in request.question:
            raise RuntimeError
        return np.zeros(len(candidates))

    monkeypatch.setattr(pool_building, "PAUSES_S", (0.0,))
    monkeypatch.setattr(LogLikelihood, "score", score)
    pool = await build(settings(), cases(tmp_path, ROWS), out=tmp_path / "pool.parquet", at_once=1)
    failed = [question.id for question in pool.questions if np.isnan(question.scores["loglik"]).all()]
    assert failed == ["q2"]


async def test_an_arm_that_fails_once_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[str] = []

    async def score(model: LogLikelihood, request: Any, candidates: Any) -> Any:
        requested.append(request.question or "")
        if "1902" in requested[-1] and requested.count(requested[-1]) < 3:
            raise RuntimeError
        return np.zeros(len(candidates))

    monkeypatch.setattr(pool_building, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(LogLikelihood, "score", score)
    pool = await build(settings(), cases(tmp_path, ROWS), out=tmp_path / "pool.parquet")
    assert not any(np.isnan(question.scores["loglik"]).any() for question in pool.questions)


async def test_an_arm_that_says_it_cannot_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[str] = []

    async def score(model: LogLikelihood, request: Any, candidates: Any) -> Any:
        requested.append(request.question or "")
        if request.question and "19" in request.question:
            raise Unscorable("too long")
        return np.zeros(len(candidates))

    monkeypatch.setattr(LogLikelihood, "score", score)
    pool = await build(settings(), cases(tmp_path, ROWS[:1]), out=tmp_path / "pool.parquet")
    assert requested.count(ROWS[0]["question"]) == 1
    assert np.isnan(pool.questions[0].scores["loglik"]).all()


async def test_an_arm_that_combines_others_has_no_scores_of_its_own(tmp_path: Path) -> None:
    arms = [{"name": name, "kind": name} for name in ("loglik", "consensus", "blend")]
    pool = await build(settings(arms=arms), cases(tmp_path, ROWS[:1]), out=tmp_path / "pool.parquet")
    assert pool.arms == ("loglik", "consensus")


async def test_two_files_with_the_same_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="same name and ids"):
        await build(settings(), cases(tmp_path, ROWS) * 2, out=tmp_path / "pool.parquet")


SECRET = "s3cret-of-the-house"
OPTIONS = {
    "name": "stub",
    "unit": "words",
    "token": SECRET,
    "url": f"http://ann:{SECRET}@host/v1?api_key={SECRET}&n=1",
    "headers": {"anything": SECRET},
    "clients": [{"X-Api-Key": SECRET, "password": [SECRET], "n": 1}],
}


class Plugin(FakeRewardModel):
    """A reward model of another package, which takes any option."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options


async def test_secrets_of_arms_reach_neither_the_pool_nor_its_unfinished_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python, "find", lambda name: Plugin)
    unfinished: list[str] = []
    finish = Checkpoint.finish

    def kept(file: Checkpoint) -> None:
        unfinished.append(file.path.read_text())
        finish(file)

    monkeypatch.setattr(Checkpoint, "finish", kept)
    out = tmp_path / "pool.parquet"
    arms = [{"name": "stub", "kind": "python", "options": OPTIONS}]
    pool = await build(settings(arms=arms), cases(tmp_path, ROWS[:1]), out=out)
    options = {
        "name": "stub",
        "unit": "words",
        "url": "http://host/v1?api_key=***&n=1",
        "clients": [{"n": 1}],
    }
    assert pool.recipe.arms[0].options == read(out).recipe.arms[0].options == options
    assert SECRET not in unfinished[0]
    assert SECRET not in repr(parquet.read_schema(out).metadata)
    assert SECRET.encode() not in out.read_bytes()
