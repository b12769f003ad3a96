from contextlib import aclosing

import pytest

from builders import make_request, make_sampling
from laserve.generation.fake import FakeGenerator
from laserve.types import Candidate, Sampling


async def sample(prompt: str = "the red fox", **sampling: object) -> list[Candidate]:
    """Candidates of a generator of its own."""
    generator = FakeGenerator()
    request = make_request(prompt=prompt, sampling=make_sampling(**sampling))
    return [candidate async for candidate in generator.stream(await generator.render(request))]


async def test_the_same_request_gives_the_same_candidates() -> None:
    assert await sample(n=8) == await sample(n=8)
    assert await sample(n=8, seed=5) == await sample(n=8, seed=5)


async def test_prompt_and_seed_change_the_candidates() -> None:
    assert await sample(n=8) != await sample("the blue fox", n=8)
    assert await sample(n=8, seed=5) != await sample(n=8, seed=6)


async def test_generators_of_different_salts_answer_differently() -> None:
    request = make_request(prompt="the red fox", sampling=make_sampling(n=8))
    one, other = FakeGenerator(), FakeGenerator(salt="other")
    assert [c async for c in one.stream(await one.render(request))] != [
        c async for c in other.stream(await other.render(request))
    ]


@pytest.mark.parametrize("n", [1, 2, 7, 64])
async def test_there_are_n_candidates_with_the_indices_from_zero(n: int) -> None:
    assert [candidate.index for candidate in await sample(n=n)] == list(range(n))


async def test_more_candidates_leave_the_first_ones_as_they_were() -> None:
    assert (await sample(n=8))[:3] == await sample(n=3)


async def test_a_greedy_sample_is_the_same_for_every_index() -> None:
    assert len({(candidate.text, candidate.logprob) for candidate in await sample(n=8, temperature=0)}) == 1


@pytest.mark.parametrize("temperature", [1.0, 2.0])
async def test_a_hot_sample_differs_each_time(temperature: float) -> None:
    candidates = await sample(n=16, temperature=temperature)
    assert len({(candidate.text, candidate.logprob) for candidate in candidates}) == 16


@pytest.mark.parametrize("max_tokens", [1, 2, 3, 100])
async def test_a_candidate_keeps_to_max_tokens_and_says_how_it_ended(max_tokens: int) -> None:
    for candidate in await sample(n=16, max_tokens=max_tokens):
        assert 1 <= candidate.tokens == len(candidate.text.split()) <= max_tokens
        assert candidate.finish_reason == ("length" if candidate.tokens == max_tokens else "stop")
        assert candidate.logprob < 0


async def test_an_answer_is_made_of_words_of_the_request_too() -> None:
    candidates = await sample("zebra " * 20, n=32, temperature=1.0)
    assert any("zebra" in candidate.text for candidate in candidates)


async def test_a_prompt_cut_inside_a_character_is_still_answered() -> None:
    generator = FakeGenerator()
    rendered = await generator.render(make_request(prompt="naïve"))
    cut = type(rendered)(token_ids=rendered.token_ids[:3], sampling=Sampling(**vars(rendered.sampling)))
    assert len([candidate async for candidate in generator.stream(cut)]) == rendered.sampling.n


async def test_closing_the_stream_early_ends_the_work() -> None:
    generator = FakeGenerator()
    async with aclosing(generator.stream(await generator.render(make_request(prompt="p")))) as stream:
        assert (await anext(stream)).index == 0
        assert generator.running == 1
    assert generator.running == 0


async def test_the_model_length_is_what_was_asked_for() -> None:
    assert FakeGenerator(max_model_len=99).max_model_len == 99
    assert FakeGenerator().max_model_len >= 100_000
