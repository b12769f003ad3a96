"""Every reward model keeps the protocol of `laserve.scoring.base`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract import samples
from laserve.config import load
from laserve.errors import ArmFailed
from laserve.scoring import registry
from laserve.scoring.base import RewardModel
from laserve.types import Candidate, Document, Message, Request, Vector

pytestmark = [
    # Made before the tests' own event loop runs, where `make` could only look them up.
    pytest.mark.usefixtures("hash_encoder", "sentence_encoder", "small_server"),
    # One loop for all tests, since each model is loaded once for all of its own.
    pytest.mark.asyncio(loop_scope="module"),
]

some = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
#: Name -> kind, and the fixture with the encoder that it is given, or with its options. Kind `vllm`, which
#: needs an engine, keeps the same protocol in test_vllm_reward_model.py; `remote` and `judge` on real servers
#: are in test_served_reward_model.py.
MODELS = {
    "loglik": ("loglik", "hash_encoder"),
    "consensus": ("consensus", "hash_encoder"),
    "relevance, fake encoder": ("relevance", "hash_encoder"),
    "relevance": ("relevance", "sentence_encoder"),
    "fake": ("fake", "hash_encoder"),
    "blend": ("blend", "hash_encoder"),
    "transformers, decoder": ("transformers", "decoder_arm"),
    "transformers, adapter": ("transformers", "adapter_arm"),
    "transformers, encoder": ("transformers", "encoder_arm"),
    "implicit": ("implicit", "implicit_arm"),
    "attributes": ("attributes", "attributes_arm"),
    "python": ("python", "python_arm"),
    "python, reads ahead": ("python", "python_ahead_arm"),
    "python, opens readings": ("python", "python_opening_arm"),
    "remote": ("remote", "remote_arm"),
    "judge": ("judge", "judge_arm"),
}
RELEVANCE = {name: parts for name, parts in MODELS.items() if parts[0] == "relevance"}

REQUESTS = {
    "a question with documents": samples.request(),
    "a question without documents": samples.request(documents=()),
    "a question with an empty document": samples.request(documents=(Document(text=""),)),
    "a question with a long document": samples.request(documents=(Document(text="clock tower " * 150),)),
    "messages": samples.request(
        messages=(
            Message(role="system", content="be brief"),
            Message(role="user", content="who built the clock?"),
            Message(role="assistant", content="which one?"),
            Message(role="user", content="that of the harbour"),
        )
    ),
    "messages without a user": samples.request(messages=(Message(role="system", content="be brief"),)),
    "a prompt": samples.request(prompt="The harbour clock was built by"),
}


async def make(request: pytest.FixtureRequest, kind: str, fixture: str, **options: Any) -> RewardModel:
    given = request.getfixturevalue(fixture)
    shared: dict[str, Any] = {"cache_dir": load().cache_dir.expanduser()}
    if isinstance(given, dict):
        options = given | options
    else:
        shared["encoder"] = given
    model = registry.create(kind, options, shared)
    await model.load()
    return model


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=MODELS.values(), ids=MODELS.keys())
async def model(request: pytest.FixtureRequest) -> AsyncIterator[RewardModel]:
    model = await make(request, *request.param)
    yield model
    await model.close()


@pytest_asyncio.fixture(loop_scope="module", params=RELEVANCE.values(), ids=RELEVANCE.keys())
async def relevance(request: pytest.FixtureRequest) -> RewardModel:
    return await make(request, *request.param)


def candidates(*texts: str) -> list[Candidate]:
    return [samples.candidate(index, text, logprob=-1.5 - index) for index, text in enumerate(texts)]


VARIED = candidates("Ada Thorn", "in 1874", "", "Ada Thorn", samples.ODD_TEXT, "the clock " * 30, "\n\t")


async def score(model: RewardModel, request: Request, given: Sequence[Candidate]) -> Vector:
    """Scores in a reading of their own."""
    with closing(model.open(request)) as reading:
        return await reading.score(given)


async def check(model: RewardModel, request: Request, given: Sequence[Candidate]) -> None:
    """What must hold for all requests and candidates."""
    with closing(model.open(request)) as reading:
        scores = await reading.score(given)
        assert scores.shape == (len(given),)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        # A server sums in the order in which it has batched: its float32 may differ in the last digits.
        exact = model.kind != "remote"
        np.testing.assert_allclose(await reading.score(given), scores, rtol=0 if exact else 1e-5)


class TestProtocol:
    @pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
    async def test_every_candidate_gets_one_finite_score_and_always_the_same(
        self, model: RewardModel, request_: Request
    ) -> None:
        await check(model, request_, VARIED)

    @pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
    async def test_one_candidate_is_enough(self, model: RewardModel, request_: Request) -> None:
        for text in ("Ada Thorn", "", samples.ODD_TEXT):
            await check(model, request_, candidates(text))

    async def test_sixty_four_candidates_are_not_too_many(self, model: RewardModel) -> None:
        await check(model, samples.request(), candidates(*(f"answer {number % 50}" for number in range(64))))

    @some
    @given(
        question=samples.texts,
        documents=st.lists(samples.texts, max_size=2),
        texts=st.lists(samples.texts, min_size=1, max_size=4),
    )
    async def test_no_characters_break_that(
        self, model: RewardModel, question: str, documents: list[str], texts: list[str]
    ) -> None:
        request_ = samples.request(
            question=question, documents=tuple(Document(text=text) for text in documents)
        )
        await check(model, request_, candidates(*texts))

    @pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
    async def test_scores_move_with_their_candidates(self, model: RewardModel, request_: Request) -> None:
        order = np.random.default_rng(1).permutation(len(VARIED))
        scores = await score(model, request_, VARIED)
        moved = await score(model, request_, [VARIED[index] for index in order])
        # Sums in another order round differently, those of a float32 encoder at 6e-8.
        assert moved == pytest.approx(scores[order], abs=2e-6)

    async def test_a_model_that_says_so_looks_at_each_text_alone(self, model: RewardModel) -> None:
        together = await score(model, samples.request(), VARIED)
        alone = [(await score(model, samples.request(), [one]))[0] for one in VARIED]
        compares = np.abs(together - alone).max() > 2e-6
        # What `blend` says depends on all, but it is the service that says it: see TestBlend.
        assert compares == (model.needs_all and model.kind != "blend")

    async def test_candidates_may_come_one_by_one_and_the_prompt_may_be_read_ahead(
        self, model: RewardModel
    ) -> None:
        with closing(model.open(samples.request())) as reading:
            await reading.prefill()
            each = [VARIED] if model.needs_all else [[one] for one in VARIED]
            scores = np.concatenate(await asyncio.gather(*(reading.score(given) for given in each)))
            assert not reading.truncated
        assert scores == pytest.approx(await score(model, samples.request(), VARIED), abs=1e-5)

    async def test_a_reading_may_be_closed_at_any_time_and_leaves_others_of_its_request_as_they_are(
        self, model: RewardModel
    ) -> None:
        request_ = samples.request()
        unused, left, used = (model.open(request_) for _ in range(3))
        assert not unused.truncated
        unused.close()
        task = asyncio.create_task(left.score(VARIED))
        await asyncio.sleep(0)
        task.cancel()
        left.close()
        await asyncio.gather(task, return_exceptions=True)
        scores = await used.score(VARIED)
        for reading in (unused, left, used, used):
            reading.close()
        assert scores == pytest.approx(await score(model, request_, VARIED), abs=1e-5)


class TestLogLikelihood:
    async def test_scores_are_the_log_probabilities(self, request: pytest.FixtureRequest) -> None:
        model = await make(request, *MODELS["loglik"])
        given = [
            samples.candidate(0, "a", -3.5),
            samples.candidate(1, "b", -1e-300),
            samples.candidate(2, "", 0),
        ]
        assert (await score(model, samples.request(), given)).tolist() == [-3.5, -1e-300, 0.0]


class TestConsensus:
    @pytest_asyncio.fixture(loop_scope="module")
    async def model(self, request: pytest.FixtureRequest) -> RewardModel:
        return await make(request, *MODELS["consensus"])

    async def test_the_majority_wins(self, model: RewardModel) -> None:
        given = candidates("1911", "Ada Thorn", "a fish", "Ada Thorn", "the Ada Thorn!")
        scores = await score(model, samples.request(), given)
        assert set(np.flatnonzero(scores == scores.max())) == {1, 3, 4}

    async def test_what_overlaps_with_most_others_beats_what_stands_apart(self, model: RewardModel) -> None:
        scores = await score(
            model, samples.request(), candidates("Ada Thorn", "Ada Thorn 1874", "1874", "fish")
        )
        assert scores.argmax() == 1
        assert scores.argmin() == 3

    async def test_a_score_is_the_mean_f1_with_all_candidates(self, model: RewardModel) -> None:
        scores = await score(model, samples.request(), candidates("x y", "x", "z"))
        # F1 of "x y" and "x": 2 * 1 / (2 + 1).
        assert scores == pytest.approx([(1 + 2 / 3) / 3, (2 / 3 + 1) / 3, 1 / 3])

    async def test_scores_lie_between_zero_and_one(self, model: RewardModel) -> None:
        scores = await score(model, samples.request(), VARIED)
        assert (scores > 0).all()
        assert (scores <= 1).all()
        assert (await score(model, samples.request(), candidates("same", "same"))).tolist() == [1.0, 1.0]


class TestBlend:
    async def test_it_waits_for_all_candidates_and_by_itself_prefers_none(
        self, request: pytest.FixtureRequest
    ) -> None:
        model = await make(request, *MODELS["blend"])
        assert model.needs_all
        for request_ in REQUESTS.values():
            assert (await score(model, request_, VARIED)).tolist() == [0.0] * len(VARIED)


class TestRelevance:
    async def test_an_answer_that_the_documents_support_beats_one_that_they_do_not(
        self, relevance: RewardModel
    ) -> None:
        scores = await score(
            relevance,
            samples.request(),
            candidates("a fisherman of Merrow", "Ada Thorn in 1874", "forty sheep"),
        )
        assert scores.argmax() == 1

    async def test_the_closest_window_counts_wherever_it_stands(self, relevance: RewardModel) -> None:
        filler = "Bread is sold from eight and fish from six in the morning. " * 20
        fact = "The harbour clock was built by Ada Thorn in 1874. " * 10
        given = candidates("Ada Thorn in 1874", "Peter Quill in 1902")
        for texts in ([fact + filler], [filler + fact + filler], [filler + fact], [filler, fact]):
            documents = tuple(Document(text=text) for text in texts)
            scores = await score(relevance, samples.request(documents=documents), given)
            assert scores[0] > scores[1]

    async def test_more_documents_never_lower_a_score(self, relevance: RewardModel) -> None:
        one = samples.request()
        two = samples.request(documents=(*one.documents, Document(text="Fish is sold from six.")))
        given = candidates("Ada Thorn", "fish")
        assert (await score(relevance, two, given) >= await score(relevance, one, given) - 2e-6).all()

    async def test_without_documents_it_is_closeness_to_the_question(self, relevance: RewardModel) -> None:
        request_ = samples.request(prompt="the harbour clock of velm")
        scores = await score(relevance, request_, candidates("forty sheep", "the harbour clock of velm"))
        assert scores.argmax() == 1
        assert scores[1] == pytest.approx(1.0, abs=1e-5)

    async def test_an_empty_answer_says_nothing(self, relevance: RewardModel) -> None:
        for request_ in REQUESTS.values():
            scores = await score(relevance, request_, candidates("", "Ada Thorn", " \n"))
            assert scores[[0, 2]].tolist() == [-1.0, -1.0]
            assert -1.0 < scores[1] <= 1.0 + 1e-5


class TestPython:
    async def test_an_installed_plugin_gets_its_options(self, request: pytest.FixtureRequest) -> None:
        model = await make(request, *MODELS["python"])
        scores = await score(model, samples.request(), candidates("one two", "three"))
        assert scores.tolist() == [-2.0, -1.0]

    async def test_a_plugin_may_open_its_own_readings(self, request: pytest.FixtureRequest) -> None:
        model: Any = await make(request, *MODELS["python, opens readings"])
        assert type(model).__name__ == "Opening"
        await score(model, samples.request(), VARIED)
        assert model.open_readings == 0


class TestFake:
    async def test_scores_lie_between_zero_and_one_and_differ_by_salt(
        self, request: pytest.FixtureRequest
    ) -> None:
        one, two = [await make(request, *MODELS["fake"], salt=salt) for salt in ("a", "b")]
        given = candidates(*(f"answer {number}" for number in range(20)))
        first, second = await score(one, samples.request(), given), await score(two, samples.request(), given)
        assert (np.concatenate([first, second]) >= 0).all()
        assert (np.concatenate([first, second]) < 1).all()
        assert (first != second).all()

    async def test_it_fails_when_told_to(self, request: pytest.FixtureRequest) -> None:
        model = await make(request, *MODELS["fake"], fail=True)
        with pytest.raises(ArmFailed):
            await score(model, samples.request(), candidates("a"))


async def test_an_encoder_that_fails_costs_the_arm_and_not_the_process(
    request: pytest.FixtureRequest,
) -> None:
    class Broken:
        async def encode(self, texts: Sequence[str]) -> Any:
            raise RuntimeError("out of memory")

    model = registry.create("relevance", {}, {"encoder": Broken()})
    with pytest.raises(ArmFailed, match="out of memory"):
        await score(model, samples.request(), candidates("a"))
