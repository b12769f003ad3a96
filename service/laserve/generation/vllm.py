"""The kind ``vllm``: a generator on a vLLM engine of this process."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, nullcontext
from dataclasses import replace
from typing import Any

import uuid_utils

from laserve.config import GenerationSettings
from laserve.engines import cpu, kv_cache
from laserve.engines.supervisor import Supervisor
from laserve.engines.vllm import VllmEngine, VllmStart
from laserve.errors import ConfigError, EngineError, InvalidRequest, NotReady
from laserve.generation.base import CONCURRENCY, Rendered, check_finish
from laserve.generation.prompts import render
from laserve.metrics import Metrics
from laserve.models.tokenizer import FolderTokenizer
from laserve.types import Candidate, Request, Sampling

logger = logging.getLogger(__name__)

#: Tokens by which a long prompt is read ahead. Without chunked prefill it would delay all other requests
#: until it is read; so requests for longer and longer parts read it, each using the prefix cache so far.
PART_TOKENS = 512
#: Longest time for the first request of a new engine, in seconds; a GPU may compile for it.
_PROVE_S = 300.0


class VllmGenerator:
    """A generator with a vLLM engine of this process, which is replaced when it dies.

    Args:
        settings: the section ``generation``.
        model: folder or hub name of the model.
        turn: lock that is held while the engine starts, so that engines start one after another.
        expected: requests that the KV cache of a CPU engine is made for, unless the settings give its size.
    """

    def __init__(
        self,
        settings: GenerationSettings,
        model: str,
        metrics: Metrics,
        turn: "threading.Lock | None" = None,
        expected: "kv_cache.Load | None" = None,
    ) -> None:
        self.model = settings.model
        self.max_model_len = 0
        self.concurrency = CONCURRENCY
        self._settings = settings
        self._path = model
        self._metrics = metrics
        self._turn = turn
        self._expected = expected or kv_cache.load(defaults=settings.defaults)
        self._supervisor: Supervisor[VllmEngine] | None = None
        self._tokenizer: FolderTokenizer
        self._cpu = False
        self._seeds = True
        self._by_priority = False
        self._reads_ahead = False
        self._long = asyncio.Semaphore(1)

    async def start(self) -> None:
        start = VllmStart(await asyncio.to_thread(self._arguments), section="generation", turn=self._turn)
        self._supervisor = Supervisor(
            "generator",
            start=start,
            prove=self._prove,
            interrupt=start.interrupt,
            metrics=self._metrics,
        )
        await self._supervisor.start()
        config = self._supervisor.engine.llm.vllm_config
        self.max_model_len = int(config.model_config.max_model_len)
        self.concurrency = cpu.concurrency() if self._cpu else CONCURRENCY
        whole_prefills = not config.scheduler_config.enable_chunked_prefill
        self._seeds = not self._cpu or whole_prefills
        self._reads_ahead = whole_prefills and config.cache_config.enable_prefix_caching
        self._by_priority = config.scheduler_config.policy == "priority"
        logger.info("vLLM serves %s, %d tokens", self.model, self.max_model_len)

    def retire(self) -> None:
        if self._supervisor is not None:
            self._supervisor.retire()

    async def close(self) -> None:
        if self._supervisor is not None:
            await self._supervisor.close()

    def check(self) -> None:
        self._llm()

    async def _prove(self, engine: VllmEngine) -> None:
        """Sample a few tokens: an engine's first request takes seconds longer than later ones."""
        sampling = Sampling(n=2, temperature=1.0, top_p=0.9, max_tokens=2)
        rendered = Rendered(token_ids=tuple(range(8)), sampling=sampling)
        try:
            async with asyncio.timeout(_PROVE_S), aclosing(self._stream(engine.llm, rendered)) as candidates:
                async for _ in candidates:
                    pass
        except TimeoutError as error:
            raise EngineError(f"the engine sampled no candidate within {_PROVE_S:g} s") from error

    def _llm(self) -> Any:
        """vLLM's engine. Raises NotReady or EngineError if no engine serves."""
        if self._supervisor is None:
            raise NotReady("the engine is still loading")
        return self._supervisor.engine.llm

    async def render(self, request: Request) -> Rendered:
        if request.sampling.seed is not None and not self._seeds:
            raise InvalidRequest(
                "seed: this engine does not support seeds: on a CPU, chunked prefill breaks seeded requests; "
                "set generation.engine_args.enable_chunked_prefill to false",
                param="seed",
            )
        return await render(request, self._tokenizer, self.max_model_len)

    async def stream(self, rendered: Rendered) -> AsyncIterator[Candidate]:
        # The attention of a long prompt slows every step of the engine, for all requests in the step.
        turn = self._long if self._reads_ahead and rendered.tokens > cpu.LONG_TOKENS else nullcontext()
        async with turn, aclosing(self._stream(self._llm(), rendered)) as candidates:
            async for candidate in candidates:
                yield candidate

    async def _stream(self, llm: Any, rendered: Rendered) -> AsyncGenerator[Candidate]:
        from vllm.exceptions import VLLMClientError, VLLMServerError

        sampling = rendered.sampling
        request_id = str(uuid_utils.uuid7())
        # The other samples of a batch change the last bits of a sample's logits, and so the sample. On a CPU,
        # seeded candidates are sampled alone: they repeat whenever the engine has no other work.
        alone = sampling.seed is not None and self._cpu
        salt = request_id if alone else None
        try:
            if self._reads_ahead:
                await self._read_ahead(llm, rendered, request_id, salt)
            for index, part in enumerate(_singles(sampling) if alone else [sampling]):
                async with aclosing(
                    self._sample(llm, rendered, part, f"{request_id}-sample-{index}", salt)
                ) as completions:
                    async for completion in completions:
                        yield _candidate(completion, index + completion.index, strip=rendered.strip)
        except VLLMServerError as error:
            self.check()  # raises the cause and the time of the next start if the engine has died
            cause = error.__cause__ or error
            if isinstance(cause, VLLMClientError | ValueError):
                raise InvalidRequest(f"the engine refused the request: {cause}") from error
            raise EngineError(f"the engine failed: {type(cause).__name__} {cause}") from error
        except (VLLMClientError, ValueError) as error:  # how vLLM refuses parameters
            raise InvalidRequest(f"the engine refused the request: {error}") from error

    async def _read_ahead(self, llm: Any, rendered: Rendered, request_id: str, salt: str | None) -> None:
        """Bring all but the end of a long prompt into the prefix cache."""
        sampling = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=1)
        for end in range(PART_TOKENS, rendered.tokens - PART_TOKENS, PART_TOKENS):
            part = replace(rendered, token_ids=rendered.token_ids[:end])
            async with aclosing(self._sample(llm, part, sampling, f"{request_id}-{end}", salt)) as done:
                async for _ in done:
                    pass

    async def _sample(
        self, llm: Any, rendered: Rendered, sampling: Sampling, request_id: str, cache_salt: str | None
    ) -> AsyncGenerator[Any]:
        """vLLM's completions, each once, when it has finished.

        Args:
            cache_salt: only requests with an equal salt share their cached prefixes.
        """
        from vllm import SamplingParams
        from vllm.inputs import TokensPrompt
        from vllm.sampling_params import RequestOutputKind

        parameters = SamplingParams(
            n=sampling.n,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop) or None,
            seed=sampling.seed,
            logprobs=0,  # of the sampled token alone: candidates carry their sum
            output_kind=RequestOutputKind.CUMULATIVE,
        )
        prompt = TokensPrompt(prompt_token_ids=list(rendered.token_ids))
        if cache_salt is not None:
            prompt["cache_salt"] = cache_salt
        priority = _priority(rendered) if self._by_priority else 0
        async with aclosing(llm.generate(prompt, parameters, request_id, priority=priority)) as outputs:
            async for output in outputs:
                for completion in output.outputs:
                    if completion.finished():
                        yield completion

    def _arguments(self) -> dict[str, Any]:
        """Arguments of `AsyncEngineArgs`, from the settings and from the defaults for a CPU."""
        self._cpu = cpu.on_cpu("generation.kind")
        settings = self._settings
        arguments: dict[str, Any] = {
            "model": self._path,
            "dtype": settings.dtype,
            "max_model_len": settings.max_model_len,
            "kv_cache_memory_bytes": settings.kv_cache_bytes,
            "enable_prefix_caching": True,
            "use_tqdm_on_load": False,
            "scheduling_policy": "priority",
        }
        if self._cpu:
            arguments |= cpu.generator_arguments() | cpu.process_arguments(settings.engine_args)
        arguments |= settings.engine_args
        if self._cpu:
            arguments = kv_cache.with_size(arguments, expected=self._expected, section="generation")
        trusted = arguments.get("trust_remote_code") is True
        self._tokenizer = FolderTokenizer(self._path, trust_remote_code=trusted)
        if arguments.get("enable_chunked_prefill") is False and "max_num_batched_tokens" not in arguments:
            try:
                arguments["max_num_batched_tokens"] = self._model_length(arguments)
            except (TypeError, ValueError) as error:
                raise ConfigError.at("generation.engine_args", str(error)) from error
        return {name: value for name, value in arguments.items() if value is not None}

    def _model_length(self, arguments: dict[str, Any]) -> int:
        """Length of the longest sequence, which a batch must hold without chunked prefill."""
        from transformers import AutoConfig

        if arguments.get("max_model_len"):
            return int(arguments["max_model_len"])
        return int(AutoConfig.from_pretrained(self._path).max_position_embeddings)


def _singles(sampling: Sampling) -> list[Sampling]:
    """The sampling of each candidate, seeded as vLLM seeds the candidates of one request."""
    seed = sampling.seed or 0
    return [replace(sampling, n=1, seed=seed + index) for index in range(sampling.n)]


def _priority(rendered: Rendered) -> int:
    """Priority in the engine's queue, lower first: arrival in milliseconds, plus 1 per token of work.

    So small requests that arrive up to ten seconds later overtake a large one, and no request waits for ever.
    """
    work = rendered.tokens + rendered.sampling.n * rendered.sampling.max_tokens
    return int(time.monotonic() * 1000) + min(work, 10_000)


def _candidate(completion: Any, index: int, *, strip: bool) -> Candidate:
    return Candidate(
        index=index,
        text=completion.text.strip() if strip else completion.text,
        finish_reason=check_finish(completion.finish_reason),
        tokens=len(completion.token_ids),
        logprob=float(completion.cumulative_logprob),
    )
