"""The kind ``fake``: a deterministic generator for tests that draws words of the request by a hash."""

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Sequence

from laserve.generation.base import CONCURRENCY, Rendered
from laserve.generation.prompts import render
from laserve.types import Candidate, Request

_WORDS = ("yes", "no", "in", "the", "river", "1911", "blue", "three", "north", "copper")


class FakeTokenizer:
    """A tokenizer with one id per byte."""

    async def encode(self, text: str, *, literal: bool = False) -> Sequence[int]:
        return list(text.encode())

    async def encode_prompt(self, text: str) -> Sequence[int]:
        return list(text.encode())

    async def encode_chat(self, messages: Sequence[dict[str, str]]) -> Sequence[int]:
        return list("".join(f"{message['role']}: {message['content']}\n" for message in messages).encode())


class FakeGenerator:
    """A generator with equal candidates for equal requests, and more varied ones at higher temperatures.

    Args:
        max_model_len: longest prompt and candidate together, in bytes of the prompt.
        delay_s: pause before each candidate in seconds, for tests of time and cancellation.
        salt: makes the candidates of generators differ.
    """

    def __init__(self, *, max_model_len: int | None = None, delay_s: float = 0.0, salt: str = "") -> None:
        self.model = "fake"
        self.max_model_len = max_model_len or 1_000_000
        self.concurrency = CONCURRENCY
        self.delay_s = delay_s
        self.salt = salt
        #: Number of requests that are being sampled.
        self.running = 0
        self._tokenizer = FakeTokenizer()

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def check(self) -> None: ...

    def retire(self) -> None: ...

    async def render(self, request: Request) -> Rendered:
        return await render(request, self._tokenizer, self.max_model_len)

    async def stream(self, rendered: Rendered) -> AsyncIterator[Candidate]:
        sampling = rendered.sampling
        vocabulary = [*bytes(rendered.token_ids).decode(errors="ignore").split()[-20:], *_WORDS]
        self.running += 1
        try:
            for index in range(sampling.n):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                # At temperature 0 all indices give one sample, at temperature 1 or above each gives its own.
                variant = int(index * min(sampling.temperature, 1.0))
                key = f"{self.salt}{bytes(rendered.token_ids)!r}|{sampling.seed}|{variant}"
                digest = hashlib.sha256(key.encode()).digest()
                length = min(1 + digest[0] % 4, sampling.max_tokens)
                words = [vocabulary[byte % len(vocabulary)] for byte in digest[1 : 1 + length]]
                yield Candidate(
                    index=index,
                    text=" ".join(words),
                    finish_reason="stop" if length < sampling.max_tokens else "length",
                    tokens=length,
                    logprob=sum(math.log((1 + byte) / 257) for byte in digest[9 : 9 + length]),
                )
        finally:
            self.running -= 1
