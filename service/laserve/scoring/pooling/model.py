"""The kind ``vllm``: a reward model on a pooling engine."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laserve.errors import ArmFailed, Unavailable
from laserve.models.folders import adapter_folder, check_adapter, check_chat_template, check_model
from laserve.models.packaged import resolve
from laserve.models.tokenizer import FolderTokenizer
from laserve.scoring.pooling.engines import PoolingEngine, PoolingEngines
from laserve.scoring.pooling.spec import EngineSpec
from laserve.scoring.reading import PromptReading
from laserve.scoring.rendering import Prompt, render_candidate, render_prompt
from laserve.types import Candidate, Request, Vector


class VllmRewardModel:
    """The raw logit of a sequence-classification model with one label, unbounded.

    A reading reads the prompt once: with the first candidate, or by `prefill`; the other candidates use the
    engine's prefix cache. The reading keeps the scores of its candidates until it is closed.

    Args:
        engines: engines, shared by all arms of this kind.
        cache_dir: folder in which packaged models are prepared.
        model: folder of the base, or a packaged model's name; without an adapter it is the reward model
            itself, with a head of one label.
        adapter: folder of a LoRA adapter with a head of one label, as PEFT saves it, or the name of one that
            comes with laserve.
        max_model_len: longest text in tokens; by default the model's own. Documents of longer texts are cut.
        engine_args: further arguments of vLLM's ``AsyncEngineArgs``, by name. Arms with equal model, length
            and arguments share an engine. ``max_num_batched_tokens`` is how many tokens of all waiting
            requests one step takes, 4,096 on a CPU; ``kv_cache_memory_bytes`` is the memory for cached
            prompts, by default what the admitted requests need, at most 1 GiB, on a CPU, and 4 GiB on a GPU;
            ``max_lora_rank`` is the highest rank, 16.
        trust_remote_code: whether to run code that comes with the model.
    """

    kind = "vllm"
    free = False
    needs_all = False
    reads_ahead = True

    def __init__(
        self,
        *,
        engines: PoolingEngines,
        cache_dir: Path,
        model: str = "smollm2-135m-instruct",
        adapter: str | None = None,
        max_model_len: int | None = None,
        engine_args: Mapping[str, Any] | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        self._engines = engines
        self._cache_dir = cache_dir
        self._model = model
        self._adapter = None if adapter is None else str(adapter_folder(adapter))
        self._max_model_len = max_model_len
        self._engine_args = dict(engine_args or {})
        self._trust_remote_code = trust_remote_code
        self._spec: EngineSpec | None = None
        self._engine: PoolingEngine
        self._tokenizer: FolderTokenizer

    @property
    def engine(self) -> PoolingEngine:
        """The engine; available after `load`."""
        return self._engine

    @property
    def adapter(self) -> str | None:
        """Folder of the adapter."""
        return self._adapter

    async def load(self) -> None:
        spec = await asyncio.to_thread(self._check)
        self._tokenizer = await asyncio.to_thread(
            FolderTokenizer,
            spec.model,
            setting="options.model",
            trust_remote_code=self._trust_remote_code,
        )
        try:
            engine = await self._engines.acquire(spec)
            try:
                if (
                    self._adapter is not None
                ):  # the last step: after it nothing can fail and leave the adapter there
                    await engine.add_adapter(self._adapter)
            except BaseException:
                await self._engines.release(spec)
                raise
        except Unavailable as error:
            raise ArmFailed(error.message) from error
        self._engine, self._spec = engine, spec

    async def close(self) -> None:
        if self._spec is None:
            return
        spec, self._spec = self._spec, None
        try:
            if self._adapter is not None:
                await self._engine.remove_adapter(self._adapter)
        finally:
            await self._engines.release(spec)

    def open(self, request: Request) -> "VllmReading":
        return VllmReading(self, request)

    async def render(self, request: Request) -> Prompt:
        return await render_prompt(request, self._tokenizer, self._engine.max_model_len)

    async def end(self, text: str, prompt: Prompt) -> tuple[int, ...]:
        """Ids of a candidate and of the end of its turn."""
        return await render_candidate(text, prompt, self._tokenizer)

    async def encode(self, prompt: Prompt, end: tuple[int, ...] = ()) -> float:
        """Score of the ids `end` behind a prompt; the engine keeps the prompt in its cache."""
        try:
            return await self._engine.encode((*prompt.ids, *end), self._adapter)
        except Unavailable as error:
            raise ArmFailed(error.message) from error

    def _check(self) -> EngineSpec:
        """Check the files before an engine is started for them. Raises ConfigError."""
        folder = resolve(
            self._model,
            self._cache_dir,
            revision=self._engine_args.get("revision"),
            setting="options.model",
        )
        arguments = self._engine_args
        if self._trust_remote_code:
            arguments = arguments | {"trust_remote_code": True}
        spec = EngineSpec.of(
            folder,
            adapters=self._adapter is not None,
            max_model_len=self._max_model_len,
            engine_args=arguments,
        )
        base = check_model(
            folder,
            num_labels=None if spec.adapters else 1,
            trust_remote_code=self._trust_remote_code,
            setting="options.model",
        )
        if self._adapter is not None:
            check_adapter(
                self._adapter, base, num_labels=1, max_rank=spec.max_rank, setting="options.adapter"
            )
        check_chat_template(base.path, "options.model")
        return spec


class VllmReading(PromptReading[dict[tuple[int, ...], float]]):
    """A prompt that the engine reads, and the scores of its candidates so far, by ids; see `Reading`."""

    def __init__(self, model: VllmRewardModel, request: Request) -> None:
        super().__init__(lambda: model.render(request))
        self._model = model

    async def prefill(self) -> None:
        prompt = await self._rendered()
        await self._read.get(lambda: self._ahead(prompt))

    async def score(self, candidates: Sequence[Candidate]) -> Vector:
        prompt = await self._rendered()
        ends = await asyncio.gather(*(self._model.end(candidate.text, prompt) for candidate in candidates))
        scores = await self._read.get(lambda: self._first(prompt, ends[0]))
        scores.update(await self._rest(prompt, [end for end in dict.fromkeys(ends) if end not in scores]))
        return np.array([scores[end] for end in ends])

    async def _ahead(self, prompt: Prompt) -> dict[tuple[int, ...], float]:
        """Let the engine read the prompt alone."""
        await self._model.encode(prompt)
        return {}

    async def _first(self, prompt: Prompt, end: tuple[int, ...]) -> dict[tuple[int, ...], float]:
        """Let the engine read the prompt with a first candidate behind it."""
        return {end: await self._model.encode(prompt, end)}

    async def _rest(self, prompt: Prompt, ends: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
        tasks = [asyncio.create_task(self._model.encode(prompt, end)) for end in ends]
        try:
            scores = await asyncio.gather(*tasks)
        finally:  # the engine stops work for which no call waits
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return dict(zip(ends, scores, strict=True))
