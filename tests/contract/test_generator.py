"""Every generator keeps the protocol of `laserve.generation.base`."""

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from contract import samples
from contract.vllm_server import MODEL, Failure, VllmServer, logprob, pieces, vllm_server
from laserve.config import GenerationSettings
from laserve.errors import ConfigError, EngineError, InvalidRequest, NotReady
from laserve.generation.base import Generator
from laserve.generation.fake import FakeGenerator
from laserve.generation.server import OpenAIGenerator
from laserve.types import Candidate, Document, Message, Request, Sampling

#: Longest prompt and candidate of the generators under test, in bytes.
LENGTH = 4096


@dataclass
class Subject:
    """A started generator, and what tells of the work that it has caused."""

    generator: Generator
    running: Callable[[], int]
    idle: Callable[[], Awaitable[None]]
    #: From now on, the work of a request does not end by itself once it has yielded a candidate.
    hold: Callable[[], None]
    let_go: Callable[[], None]


def remote(url: str, **changes: Any) -> OpenAIGenerator:
    return OpenAIGenerator(GenerationSettings(kind="openai", **({"model": MODEL, "url": url} | changes)))


@asynccontextmanager
async def started(url: str, **changes: Any) -> AsyncIterator[OpenAIGenerator]:
    generator = remote(url, **changes)
    try:
        await generator.start()
        yield generator
    finally:
        await generator.close()


@pytest.fixture
async def server() -> AsyncIterator[VllmServer]:
    async with vllm_server() as running:
        yield running


@pytest.fixture
async def openai(server: VllmServer) -> AsyncIterator[OpenAIGenerator]:
    async with started(server.url) as generator:
        yield generator


@pytest.fixture(params=["fake", "openai"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "fake":
        fake = FakeGenerator(max_model_len=LENGTH)
        await fake.start()

        async def idle() -> None:
            """The fake works only during a request, so it holds between requests."""

        yield Subject(fake, lambda: fake.running, idle, lambda: None, lambda: None)
        await fake.close()
        return
    async with vllm_server() as server, started(server.url) as generator:

        def fail(failure: Failure | None) -> None:
            server.failure = failure

        yield Subject(
            generator, lambda: server.running, server.idle, lambda: fail("held"), lambda: fail(None)
        )


def sampling(**changes: Any) -> Sampling:
    whole = {"n": 4, "temperature": 1.0, "top_p": 1.0, "max_tokens": 64}
    return Sampling(**whole | changes)  # type: ignore[arg-type]


def prompt(text: str = "Once upon a time", **changes: Any) -> Request:
    return samples.request(prompt=text, sampling=sampling(**changes))


async def generate(generator: Generator, request: Request) -> list[Candidate]:
    return [candidate async for candidate in generator.stream(await generator.render(request))]


class TestSampling:
    @pytest.mark.parametrize("n", [1, 2, 7, 64])
    async def test_it_yields_n_candidates_numbered_from_zero(self, subject: Subject, n: int) -> None:
        candidates = await generate(subject.generator, prompt(n=n))
        assert sorted(candidate.index for candidate in candidates) == list(range(n))

    @pytest.mark.parametrize("max_tokens", [1, 3, 64])
    async def test_a_candidate_tells_how_long_it_is_and_why_it_ended(
        self, subject: Subject, max_tokens: int
    ) -> None:
        for candidate in await generate(subject.generator, prompt(n=16, max_tokens=max_tokens)):
            assert candidate.finish_reason in ("stop", "length")
            assert 1 <= candidate.tokens <= max_tokens
            assert candidate.finish_reason == "stop" or candidate.tokens == max_tokens
            assert math.isfinite(candidate.logprob)
            assert candidate.logprob <= 0

    @pytest.mark.parametrize(
        "request_",
        [
            prompt(),
            samples.request(messages=(Message(role="user", content="who built the clock?"),)),
            samples.request(),
            samples.request(documents=()),
            prompt(samples.ODD_TEXT),
        ],
        ids=["prompt", "messages", "question with documents", "question", "odd characters"],
    )
    async def test_every_form_of_request_is_answered(self, subject: Subject, request_: Request) -> None:
        candidates = await generate(subject.generator, request_)
        assert len(candidates) == request_.sampling.n

    async def test_answers_to_questions_have_no_space_around_them(self, subject: Subject) -> None:
        candidates = await generate(subject.generator, samples.request(sampling=sampling(n=16)))
        assert [candidate.text for candidate in candidates] == [
            candidate.text.strip() for candidate in candidates
        ]

    async def test_requests_at_the_same_time_keep_their_candidates(self, subject: Subject) -> None:
        requests = [prompt(f"Story {number}", n=1 + number % 5) for number in range(12)]
        alone = [await generate(subject.generator, request) for request in requests]
        together = await asyncio.gather(*(generate(subject.generator, request) for request in requests))
        assert together == alone

    async def test_closing_the_iterator_early_ends_the_work(self, subject: Subject) -> None:
        subject.hold()
        stream = subject.generator.stream(await subject.generator.render(prompt(n=8)))
        async with aclosing(stream):  # type: ignore[type-var]
            await anext(stream)
            assert subject.running() == 1
        await subject.idle()
        assert subject.running() == 0
        subject.let_go()
        assert len(await generate(subject.generator, prompt())) == 4

    async def test_cancelling_the_reader_ends_the_work(self, subject: Subject) -> None:
        subject.hold()
        got_one = asyncio.Event()

        async def read() -> None:
            stream = subject.generator.stream(await subject.generator.render(prompt(n=8)))
            async with aclosing(stream):  # type: ignore[type-var]
                await anext(stream)
                got_one.set()
                await anext(stream)
                await asyncio.Event().wait()

        task = asyncio.create_task(read())
        await got_one.wait()
        assert subject.running() == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await subject.idle()
        assert subject.running() == 0

    async def test_a_started_generator_can_serve(self, subject: Subject) -> None:
        subject.generator.check()
        assert subject.generator.max_model_len == LENGTH
        assert subject.generator.model


def text_of(rendered: Any) -> str:
    """Tokens are bytes here; a document may be cut within a character."""
    return bytes(rendered.token_ids).decode(errors="ignore")


class TestRendering:
    @pytest.mark.parametrize(
        ("field", "request_"),
        [
            ("prompt", prompt("x" * LENGTH)),
            ("messages", samples.request(messages=(Message(role="user", content="x" * LENGTH),))),
            ("question", samples.request(question="x" * LENGTH)),
            ("question", samples.request(question="x" * LENGTH, documents=())),
            ("max_tokens", prompt(max_tokens=LENGTH)),
            ("max_tokens", samples.request(sampling=sampling(max_tokens=LENGTH + 1))),
        ],
        ids=["prompt", "messages", "question", "question alone", "max_tokens", "more than max_tokens"],
    )
    async def test_what_does_not_fit_is_refused_by_the_name_of_its_field(
        self, subject: Subject, field: str, request_: Request
    ) -> None:
        with pytest.raises(InvalidRequest, match=f"^{field}: ") as refused:
            await subject.generator.render(request_)
        assert refused.value.param == field

    async def test_a_prompt_fits_up_to_the_last_token(self, subject: Subject) -> None:
        rendered = await subject.generator.render(prompt("x" * (LENGTH - 64)))
        assert rendered.tokens == LENGTH - 64
        with pytest.raises(InvalidRequest):
            await subject.generator.render(prompt("x" * (LENGTH - 63)))

    async def test_a_prompt_is_not_changed(self, subject: Subject) -> None:
        rendered = await subject.generator.render(prompt(samples.ODD_TEXT, stop=("END",), seed=5))
        assert bytes(rendered.token_ids).decode() == samples.ODD_TEXT
        assert rendered.sampling == sampling(stop=("END",), seed=5)
        assert not rendered.truncated
        assert not rendered.strip

    async def test_messages_are_rendered_in_their_order(self, subject: Subject) -> None:
        turns = (Message(role="system", content="be brief"), Message(role="user", content="who?"))
        text = text_of(await subject.generator.render(samples.request(messages=turns)))
        assert 0 <= text.index("be brief") < text.index("who?")

    async def test_documents_that_fit_are_kept_whole(self, subject: Subject) -> None:
        rendered = await subject.generator.render(samples.request())
        assert "The harbour clock was built by Ada Thorn in 1874." in text_of(rendered)
        assert not rendered.truncated

    async def test_documents_are_cut_and_never_the_question(self, subject: Subject) -> None:
        question = "who, of all people, built the harbour clock of velm?"
        documents = (
            Document(title="Long", text="long é " * 2000),
            Document(title="Short", text="A short one is kept whole."),
            Document(title="", text="longer " * 3000),
        )
        request_ = samples.request(question=question, documents=documents, sampling=sampling(max_tokens=100))
        rendered = await subject.generator.render(request_)
        text = text_of(rendered)
        assert rendered.truncated
        # Nothing is wasted: a token is left over at most where the documents do not share evenly.
        assert LENGTH - 100 - len(documents) < rendered.tokens <= LENGTH - 100
        assert question in text[-len(question) - 40 :]
        assert "A short one is kept whole." in text
        assert [text.count(words) for words in ("(Title: Long)", "(Title: Short)")] == [1, 1]
        cut = [text.count(word) * len(word.encode()) for word in ("long é ", "longer ")]
        assert abs(cut[0] - cut[1]) <= 16
        assert len(await generate(subject.generator, request_)) == 4

    async def test_the_longest_question_that_fits_leaves_nothing_for_documents(
        self, subject: Subject
    ) -> None:
        empty = await subject.generator.render(samples.request(question="q", documents=(Document(text=""),)))
        question = "q" * (1 + LENGTH - 16 - empty.tokens)
        rendered = await subject.generator.render(
            samples.request(question=question, documents=(Document(text="gone"),))
        )
        assert rendered.tokens == LENGTH - 16
        assert rendered.truncated
        assert question in text_of(rendered)
        assert "gone" not in text_of(rendered)

    async def test_an_answer_to_a_question_ends_with_its_line_unless_the_request_says_otherwise(
        self, subject: Subject
    ) -> None:
        rendered = await subject.generator.render(samples.request())
        assert rendered.sampling.stop == ("\n",)
        rendered = await subject.generator.render(samples.request(sampling=sampling(stop=("END",))))
        assert rendered.sampling.stop == ("END",)

    async def test_an_empty_prompt_is_refused(self, subject: Subject) -> None:
        with pytest.raises(InvalidRequest, match=r"^prompt: ") as refused:
            await subject.generator.render(prompt(""))
        assert refused.value.param == "prompt"


class TestFakeGenerator:
    async def test_the_same_request_gives_the_same_candidates(self) -> None:
        first, second = FakeGenerator(), FakeGenerator()
        assert await generate(first, prompt()) == await generate(second, prompt())
        assert await generate(first, prompt(seed=1)) != await generate(first, prompt(seed=2))

    async def test_cold_candidates_are_all_the_same_and_hot_ones_are_not(self) -> None:
        cold = await generate(FakeGenerator(), prompt(n=8, temperature=0.0))
        hot = await generate(FakeGenerator(), prompt(n=8, temperature=1.0))
        assert len({candidate.text for candidate in cold}) == 1
        assert len({candidate.text for candidate in hot}) > 4


class TestOpenAIGenerator:
    async def test_interleaved_choices_are_put_together_each_for_itself(
        self, openai: OpenAIGenerator
    ) -> None:
        candidates = await generate(openai, prompt(n=9, max_tokens=7))
        for candidate in candidates:
            texts, reason = pieces(candidate.index, 7, [])
            assert candidate.text == "".join(texts)
            assert candidate.finish_reason == reason
            assert candidate.tokens == len(texts)
            expected = math.fsum(logprob(candidate.index, token) for token in range(len(texts)))
            assert candidate.logprob == pytest.approx(expected, rel=1e-15)
        # Yielded as they finish, not in order.
        assert [candidate.index for candidate in candidates] != list(range(9))
        assert {candidate.finish_reason for candidate in candidates} == {"stop", "length"}

    async def test_the_server_is_asked_for_what_the_request_says(
        self, openai: OpenAIGenerator, server: VllmServer
    ) -> None:
        await generate(openai, prompt("Once", n=3, temperature=0.5, top_p=0.9, stop=("END",), seed=11))
        [body] = server.completions
        expected = {
            "model": MODEL,
            "prompt": list(b"Once"),
            "n": 3,
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 64,
            "stop": ["END"],
            "seed": 11,
            "stream": True,
        }
        assert {name: body.get(name) for name in expected} == expected
        assert body["logprobs"] is not None

    async def test_the_key_goes_with_every_call(self, server: VllmServer) -> None:
        async with started(server.url, api_key="hush") as generator:
            await generate(generator, prompt())
        assert server.authorizations == {"Bearer hush"}

    @pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
    async def test_the_url_may_end_as_people_write_it(self, server: VllmServer, end: str) -> None:
        async with started(server.url + end) as generator:
            assert len(await generate(generator, prompt())) == 4

    async def test_the_shorter_of_both_lengths_holds(self, server: VllmServer) -> None:
        async with started(server.url, max_model_len=1000) as generator:
            assert generator.max_model_len == 1000
        async with started(server.url, max_model_len=10_000) as generator:
            assert generator.max_model_len == LENGTH

    async def test_before_it_has_started_it_is_not_ready(self, server: VllmServer) -> None:
        generator = remote(server.url)
        with pytest.raises(NotReady):
            generator.check()
        await generator.close()

    async def test_a_client_that_leaves_is_noticed_by_the_server(
        self, openai: OpenAIGenerator, server: VllmServer
    ) -> None:
        server.failure = "held"  # after its first candidate
        stream = openai.stream(await openai.render(prompt(n=8)))
        async with aclosing(stream):  # type: ignore[type-var]
            await anext(stream)
        await server.idle()
        assert server.abandoned == 1


@pytest.fixture
def closed_url() -> str:
    """Of a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


class TestFailingServer:
    async def test_no_server_is_an_engine_error_that_names_the_setting(self, closed_url: str) -> None:
        with pytest.raises(EngineError, match=r"generation\.url"):
            async with started(closed_url):
                pass

    async def test_a_server_that_fails_is_an_engine_error(self, server: VllmServer) -> None:
        server.failure = "models 500"
        with pytest.raises(EngineError, match="500"):
            async with started(server.url):
                pass

    async def test_a_server_of_something_else_is_a_setting_to_mend(self, server: VllmServer) -> None:
        server.failure = "models page"
        with pytest.raises(ConfigError, match=r"generation\.url"):
            async with started(server.url):
                pass

    async def test_a_model_that_is_not_served_is_a_setting_to_mend(self, server: VllmServer) -> None:
        with pytest.raises(ConfigError, match=rf"generation\.model.*'other'.*{MODEL}"):
            async with started(server.url, model="other"):
                pass

    async def test_a_server_that_does_not_tell_its_length_is_a_setting_to_mend(
        self, server: VllmServer
    ) -> None:
        server.failure = "models without length"
        with pytest.raises(ConfigError, match="max_model_len"):
            async with started(server.url):
                pass

    async def test_a_server_that_has_gone_is_an_engine_error(self) -> None:
        async with vllm_server() as server:
            generator = remote(server.url)
            await generator.start()
            rendered = await generator.render(prompt())
        with pytest.raises(EngineError):
            await generator.render(prompt())
        with pytest.raises(EngineError):
            await anext(generator.stream(rendered))
        await generator.close()

    async def test_a_tokenizer_that_fails_is_an_engine_error(
        self, openai: OpenAIGenerator, server: VllmServer
    ) -> None:
        server.failure = "tokenize 500"
        with pytest.raises(EngineError, match="500"):
            await openai.render(prompt())

    @pytest.mark.parametrize(
        "failure",
        ["completions 500", "error chunk", "connection lost", "broken line", "empty object", "list"],
    )
    async def test_an_engine_that_fails_is_an_engine_error(
        self, openai: OpenAIGenerator, server: VllmServer, failure: Failure
    ) -> None:
        rendered = await openai.render(prompt(n=8))
        server.failure = failure
        with pytest.raises(EngineError):
            async for _ in openai.stream(rendered):
                pass
        await server.idle()
        server.failure = None
        assert len(await generate(openai, prompt())) == 4

    async def test_a_choice_that_does_not_say_which_is_an_engine_error(
        self, openai: OpenAIGenerator, server: VllmServer
    ) -> None:
        server.failure = "nameless choice"
        with pytest.raises(EngineError):
            await generate(openai, prompt(n=8))

    async def test_a_stream_that_ends_short_of_a_candidate_is_an_engine_error(
        self, openai: OpenAIGenerator, server: VllmServer
    ) -> None:
        # Otherwise the answer would say that candidates ran out of time.
        server.failure = "short of a candidate"
        with pytest.raises(EngineError):
            await generate(openai, prompt(n=8))

    async def test_the_reason_of_a_failure_is_told(self, openai: OpenAIGenerator, server: VllmServer) -> None:
        for failure in ("error chunk", "completions 500"):
            server.failure = failure  # type: ignore[assignment]
            with pytest.raises(EngineError, match=r"told to (fail|refuse)"):
                await generate(openai, prompt(n=8))

    @pytest.mark.parametrize("failure", ["tokenize 400", "completions 400"])
    async def test_what_the_engine_refuses_is_the_fault_of_the_request(
        self, openai: OpenAIGenerator, server: VllmServer, failure: Failure
    ) -> None:
        server.failure = failure
        with pytest.raises(InvalidRequest, match="told to refuse"):
            await generate(openai, prompt())
