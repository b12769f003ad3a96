"""A pool is built by the service's own parts, and a run that broke off goes on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from builders import make_documents, make_request, make_row
from laserve.config import Settings, load
from laserve.errors import ConfigError, EngineError, Unscorable
from laserve.lab.data.row import BARE, CORRECTNESS, PREFERENCE, REWARD, Answer, Row
from laserve.lab.pools import build as pool_building
from laserve.lab.pools.build import build
from laserve.lab.pools.checkpoint import Checkpoint
from laserve.lab.pools.held_out import Seen
from laserve.lab.pools.pool import Pool, read
from laserve.scoring import python
from laserve.scoring.fake import FakeRewardModel
from laserve.scoring.loglik import LogLikelihood
from laserve.types import Message

ROWS = [
    make_row(
        id=f"q{index}",
        file="bridges",
        task="multi-doc-qa",
        request=make_request(
            question=f"what was opened in 19{index:02d}?",
            documents=make_documents(f"The bridge number {index} was opened in 19{index:02d}."),
        ),
        metric="f1",
        references=("bridge", f"number {index}"),
    )
    for index in range(6)
]
PAIRS = [
    make_row(
        1.0,
        0.0,
        texts=(f"hello {index}", "no"),
        id=f"p{index}",
        file="greetings",
        request=make_request(messages=(Message(role="user", content="hi"),), sampling=BARE),
        metric=PREFERENCE,
    )
    for index in range(2)
]


def settings(**flags: Any) -> Settings:
    return load(profile="fake", flags=flags)


def rows(pool: Pool) -> list[str]:
    return [repr(question.to_json()) for question in pool.questions]


async def test_a_pool_holds_what_the_service_would_have_answered(tmp_path: Path) -> None:
    out = tmp_path / "pool.parquet"
    pool = await build(settings(), ROWS, out=out)
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
    assert question.qualities.tolist() == [ROWS[0].quality(text) for text in question.texts]
    assert rows(read(out)) == rows(pool)
    assert list(tmp_path.glob("*.part")) == []


async def test_stored_answers_are_the_candidates_and_loglik_has_no_say_without_log_probabilities(
    tmp_path: Path,
) -> None:
    pool = await build(settings(), PAIRS, out=tmp_path / "pool.parquet")
    for question in pool.questions:
        assert question.texts is not None
        by_text = dict(zip(question.texts, question.qualities, strict=True))
        assert by_text["no"] == 0.0
        assert sum(by_text.values()) == 1.0
        assert np.isnan(question.scores["loglik"]).all()
        assert np.isnan(question.logprobs).all()
        assert np.isfinite(question.scores["consensus"]).all()
        assert question.x[pool.recipe.features.index("log2_n")] == pytest.approx((1 - 3.0) / 1.5)


@pytest.mark.parametrize(
    ("answers", "references", "metric", "expected"),
    [
        (2, (), PREFERENCE, PREFERENCE),
        (3, (), CORRECTNESS, CORRECTNESS),
        (2, ("right",), "f1", REWARD),  # an exported log, whose references measure other answers
        (1, ("right",), "rouge_l", "rouge_l"),
        (0, ("right",), "f1", "f1"),
    ],
)
async def test_stored_answers_come_before_right_answers_that_would_measure_sampled_ones(
    tmp_path: Path, answers: int, references: tuple[str, ...], metric: str, expected: str
) -> None:
    row = make_row(*[0.5] * answers, references=references, metric=metric)
    pool = await build(settings(), [row], out=tmp_path / "pool.parquet")
    question = pool.questions[0]
    stored = answers > 1
    assert question.metric == expected
    assert (sorted(question.texts or ()) == sorted(row.texts)) is stored
    assert (set(question.tokens) == {0}) is stored


async def test_stored_answers_are_shuffled_by_the_row_s_id(tmp_path: Path) -> None:
    texts = ("first", "second", "third", "fourth")
    rows = [make_row(1.0, 0.75, 0.25, 0.0, texts=texts, id=f"s{index}") for index in range(3)]
    pool = await build(settings(), rows, out=tmp_path / "pool.parquet")
    # Pools that were built before have this order.
    assert [question.texts for question in pool.questions] == [
        ("second", "first", "third", "fourth"),
        ("fourth", "third", "second", "first"),
        ("third", "first", "fourth", "second"),
    ]
    for question in pool.questions:
        assert dict(zip(question.texts or (), question.qualities, strict=True)) == dict(
            zip(texts, (1.0, 0.75, 0.25, 0.0), strict=True)
        )


@pytest.mark.parametrize("known", [True, False])
async def test_log_probabilities_of_stored_answers_are_used_if_all_are_known(
    tmp_path: Path, known: bool
) -> None:
    answers = (
        Answer(text="yes", quality=1.0, logprob=-1.5),
        Answer(text="no", quality=0.0, logprob=-2.5 if known else None),
    )
    row = make_row(answers=answers)
    pool = await build(settings(), [row], out=tmp_path / "pool.parquet")
    question = pool.questions[0]
    by_text = dict(zip(question.texts or (), question.logprobs, strict=True))
    expected = {"yes": -1.5, "no": -2.5} if known else {"yes": np.nan, "no": np.nan}
    np.testing.assert_equal(by_text, expected)
    np.testing.assert_array_equal(question.scores["loglik"], question.logprobs)


@pytest.mark.parametrize(
    ("task", "domains", "expected"),
    [("math", ("algebra",), "math"), (None, ("algebra", "sums"), "algebra"), (None, (), "a/rows.jsonl")],
)
async def test_the_task_is_the_row_s_or_its_first_domain_or_its_file(
    tmp_path: Path, task: str | None, domains: tuple[str, ...], expected: str
) -> None:
    row = make_row(1.0, 0.0, task=task, domains=domains, file="a/rows.jsonl")
    pool = await build(settings(), [row], out=tmp_path / "pool.parquet")
    assert (pool.questions[0].task, pool.questions[0].file) == (expected, "a/rows.jsonl")


async def test_an_arm_is_not_asked_for_scores_of_what_it_was_trained_on(tmp_path: Path) -> None:
    seen = Seen(rows={"relevance": frozenset({"q1"})})
    pool = await build(settings(), ROWS, out=tmp_path / "pool.parquet", seen=seen)
    assert [bool(np.isnan(question.scores["relevance"]).all()) for question in pool.questions] == [
        question.id == "q1" for question in pool.questions
    ]


async def test_a_run_that_broke_off_goes_on_and_gives_the_same_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await build(settings(), ROWS, out=tmp_path / "whole.parquet")
    requested: list[str] = []
    question = pool_building.Builder.question

    async def counted(builder: pool_building.Builder, row: Row) -> Any:
        if len(requested) == 3:
            raise EngineError("it has died")
        requested.append(row.id)
        return await question(builder, row)

    out = tmp_path / "pool.parquet"
    monkeypatch.setattr(pool_building.Builder, "question", counted)
    with pytest.raises(EngineError):
        await build(settings(), ROWS, out=out, at_once=1)
    part = tmp_path / "pool.parquet.part"
    part.write_text(part.read_text() + '{"id": "q5", "tor')  # the machine went down in the midst of a line
    monkeypatch.setattr(pool_building.Builder, "question", question)
    requested.clear()
    again = await build(settings(), ROWS, out=out)
    assert rows(again) == rows(whole)
    assert not part.exists()


async def broken_after(count: int, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that breaks off after some questions."""
    question, requested = pool_building.Builder.question, iter(range(count))

    async def broken(builder: pool_building.Builder, row: Row) -> Any:
        if next(requested, None) is None:
            raise EngineError("it has died")
        return await question(builder, row)

    with monkeypatch.context() as patched, pytest.raises(EngineError):
        patched.setattr(pool_building.Builder, "question", broken)
        await build(settings(), ROWS, out=out, at_once=1)


async def test_a_run_of_other_settings_does_not_go_on_where_this_one_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "pool.parquet"
    await broken_after(1, out, monkeypatch)
    with pytest.raises(ConfigError, match=r"pool\.parquet\.part was made with another sampling"):
        await build(settings(generation={"defaults": {"n": 3}}), ROWS, out=out)


async def test_a_run_without_a_finished_question_leaves_nothing_that_blocks_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "pool.parquet"
    await broken_after(0, out, monkeypatch)
    assert list(tmp_path.iterdir()) == []
    await broken_after(1, out, monkeypatch)
    part = tmp_path / "pool.parquet.part"
    head = part.read_text().partition("\n")[0]
    part.write_text(head + "\n" + '{"id": "q0", "tor')  # the run was killed within its first question
    await build(settings(generation={"defaults": {"n": 3}}), ROWS, out=out)
    assert [path.name for path in tmp_path.iterdir()] == ["pool.parquet"]


@pytest.mark.parametrize(
    "content", [b"", b"{}\n", b"\xff\n", b"[]\n", b"3\n", b"HEAD{}\n", b"HEADtorn\n{}\n"]
)
async def test_a_file_that_is_no_unfinished_pool_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    out, part = tmp_path / "pool.parquet", tmp_path / "pool.parquet.part"
    await broken_after(1, out, monkeypatch)
    head = part.read_bytes().partition(b"\n")[0] + b"\n"
    part.write_bytes(content.replace(b"HEAD", head))
    with pytest.raises(ConfigError, match=r"^--pool: .*pool\.parquet\.part is not an unfinished pool"):
        await build(settings(), ROWS, out=out)


async def test_a_folder_in_place_of_the_unfinished_pool_is_named(tmp_path: Path) -> None:
    (tmp_path / "pool.parquet.part").mkdir()
    with pytest.raises(ConfigError, match=r"^--pool: .*pool\.parquet\.part cannot be read: Is a directory"):
        await build(settings(), ROWS, out=tmp_path / "pool.parquet")


async def test_a_build_whose_disk_is_full_says_so_and_leaves_no_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Checkpoint) -> Checkpoint:
        opened = enter(file)
        opened._file.close()
        opened._file = Path("/dev/full").open("a")  # noqa: SIM115 - the checkpoint closes it
        return opened

    enter = Checkpoint.__enter__
    monkeypatch.setattr(Checkpoint, "__enter__", full)
    out = tmp_path / "pool.parquet"
    with pytest.raises(ConfigError, match=r"^--pool: .*pool\.parquet\.part cannot be written: No space left"):
        await build(settings(), ROWS, out=out)
    assert not out.exists()


async def test_a_question_that_does_not_fit_is_left_out_and_counted(tmp_path: Path) -> None:
    request = replace(ROWS[0].request, question="why? " * 2000)
    long = replace(ROWS[0], id="long", request=request)
    small = settings(generation={"max_model_len": 4000})
    pool = await build(small, [*ROWS[1:], long], out=tmp_path / "pool.parquet")
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
    pool = await build(settings(), ROWS, out=tmp_path / "pool.parquet", at_once=1)
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
    pool = await build(settings(), ROWS, out=tmp_path / "pool.parquet")
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
    pool = await build(settings(), ROWS[:1], out=tmp_path / "pool.parquet")
    assert requested.count(ROWS[0].request.question) == 1
    assert np.isnan(pool.questions[0].scores["loglik"]).all()


async def test_an_arm_that_combines_others_has_no_scores_of_its_own(tmp_path: Path) -> None:
    arms = [{"name": name, "kind": name} for name in ("loglik", "consensus", "blend")]
    pool = await build(settings(arms=arms), ROWS[:1], out=tmp_path / "pool.parquet")
    assert pool.arms == ("loglik", "consensus")


async def test_two_files_with_the_same_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="same name and ids"):
        await build(settings(), ROWS * 2, out=tmp_path / "pool.parquet")


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
    pool = await build(settings(arms=arms), ROWS[:1], out=out)
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
