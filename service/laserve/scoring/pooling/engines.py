"""Pooling engines of vLLM, shared by reward models with equal specifications.

Reward models of one base are LoRA adapters, each with its own head, on one engine. vLLM's scheduler batches
over all requests and arms: each step takes up to ``max_num_batched_tokens`` waiting tokens.
"""

import asyncio
import itertools
import logging
import threading
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import uuid_utils

from laserve.engines import cpu, kv_cache
from laserve.engines.kv_cache import Load
from laserve.engines.supervisor import Supervisor
from laserve.engines.vllm import VllmEngine, VllmStart
from laserve.errors import ConfigError, EngineError, NotReady, Unavailable
from laserve.metrics import Metrics
from laserve.scoring.pooling.spec import EngineSpec

logger = logging.getLogger(__name__)

#: Longest time for the first request of a new engine, in seconds.
_PROVE_S = 300.0


class PoolingEngine:
    """One pooling engine, which is restarted when it dies.

    Args:
        name: name of the engine in logs and metrics, which no other engine has at the same time.
    """

    def __init__(
        self, spec: EngineSpec, *, name: str, metrics: Metrics, turn: threading.Lock, expected: Load
    ) -> None:
        self.name = name
        self._spec = spec
        self._expected = expected
        self._metrics = metrics
        self._turn = turn
        self._supervisor: Supervisor[VllmEngine] | None = None
        #: Folder of an adapter -> vLLM's request for it, and the number of arms that use it.
        self._adapters: dict[str, Any] = {}
        self._users: dict[str, int] = {}
        self._numbers = 0
        self._adding = asyncio.Lock()
        self.max_model_len = 0

    async def start(self) -> None:
        """Start the engine. Raises ConfigError or EngineError."""
        arguments = await asyncio.to_thread(self._spec.arguments, self._expected)
        environment = cpu.pooling_environment(arguments)
        start = VllmStart(arguments, section="options", turn=self._turn, environment=environment)
        self._supervisor = Supervisor(
            self.name, start=start, prove=self._prove, interrupt=start.interrupt, metrics=self._metrics
        )
        await self._supervisor.start()
        self.max_model_len = int(self._supervisor.engine.llm.vllm_config.model_config.max_model_len)

    def retire(self) -> None:
        """Do not restart the engine when it dies."""
        if self._supervisor is not None:
            self._supervisor.retire()

    async def close(self) -> None:
        if self._supervisor is not None:
            await self._supervisor.close()

    async def add_adapter(self, folder: str) -> None:
        """Load an adapter. Raises ConfigError if vLLM refuses it, EngineError if the engine fails."""
        async with self._adding:
            if folder not in self._adapters:
                self._adapters[folder] = await self._added(folder)
            self._users[folder] = self._users.get(folder, 0) + 1

    async def _added(self, folder: str) -> Any:
        from vllm.lora.request import LoRARequest

        self._numbers += 1
        adapter = LoRARequest(folder, self._numbers, folder)
        try:
            # Loaded outside of a step: an adapter that fails to load within one would end the whole engine.
            await self._llm().add_lora(adapter)
        except Unavailable:
            raise
        except Exception as error:  # vLLM passes on the worker's error as text, in one of several types
            self._llm()  # raises EngineError if the engine has died
            raise ConfigError.at("options.adapter", f"vLLM refuses {folder}: {error}") from error
        return adapter

    async def remove_adapter(self, folder: str) -> None:
        """Count one arm less for the adapter, and unload it after the last."""
        self._users[folder] -= 1
        if self._users[folder] == 0 and (adapter := self._adapters.pop(folder, None)) is not None:
            try:
                await self._llm().remove_lora(adapter.lora_int_id)
            except Exception as error:  # noqa: BLE001 - costs a little memory until vLLM needs the slot
                logger.debug("an adapter was not removed: %s", error)

    async def encode(
        self, token_ids: Sequence[int], adapter: str | None = None, *, salt: str | None = None
    ) -> float:
        """Raw logit of the last token.

        Args:
            adapter: folder of an adapter that was added; None for the model's own head.
            salt: only calls with an equal salt share their cached prefixes.

        Raises:
            EngineError: the engine failed or does not serve now, or the adapter has been removed.
        """
        lora = None if adapter is None else self._adapters.get(adapter)
        if adapter is not None and lora is None:
            raise EngineError("the adapter has been removed")
        return await self._encode(self._llm(), token_ids, lora, salt)

    def _llm(self) -> Any:
        if self._supervisor is None:
            raise NotReady("the engine is still loading")
        return self._supervisor.engine.llm

    async def _encode(self, llm: Any, token_ids: Sequence[int], lora: Any, salt: str | None = None) -> float:
        from vllm import PoolingParams
        from vllm.exceptions import VLLMError
        from vllm.inputs import TokensPrompt

        prompt = TokensPrompt(prompt_token_ids=list(token_ids))
        if salt is not None:
            prompt["cache_salt"] = salt
        parameters = PoolingParams(task="classify", use_activation=False)
        score = float("nan")
        try:
            outputs = llm.encode(prompt, parameters, str(uuid_utils.uuid7()), lora_request=lora)
            async with aclosing(outputs):
                async for output in outputs:
                    score = float(output.outputs.data[0])
        except (VLLMError, ValueError) as error:
            cause = error.__cause__ or error
            raise EngineError(f"the engine failed: {type(cause).__name__} {cause}") from error
        return score

    async def _prove(self, engine: VllmEngine) -> None:
        """Load and use every adapter: the first request takes seconds longer than later ones."""
        try:
            async with asyncio.timeout(_PROVE_S):
                adapters = list(self._adapters.values())  # an arm may close meanwhile
                for adapter in adapters:
                    await engine.llm.add_lora(adapter)
                for adapter in adapters or [None]:
                    await self._encode(engine.llm, range(8), adapter)
        except TimeoutError as error:
            raise EngineError(f"the engine scored no text within {_PROVE_S:g} s") from error


@dataclass(kw_only=True)
class _Shared:
    engine: PoolingEngine
    starting: asyncio.Task[None]
    users: int = 0


class PoolingEngines:
    """The engines by specification: the first arm that needs one starts it, the last one closes it.

    Args:
        turn: lock that is held during a start, so that engines start one after another.
        held: whether no engine starts before `open` is called, so that the generator starts first.
        expected: requests that the KV caches of CPU engines are made for, unless arms set their size.
    """

    def __init__(
        self,
        *,
        metrics: Metrics,
        turn: "threading.Lock | None" = None,
        held: bool = False,
        expected: "Load | None" = None,
    ) -> None:
        self._metrics = metrics
        self._expected = expected or kv_cache.load()
        self._turn = turn or threading.Lock()
        self._opened = asyncio.Event()
        if not held:
            self._opened.set()
        self._shared: dict[EngineSpec, _Shared] = {}
        self._closing: set[asyncio.Task[None]] = set()
        #: Names of the engines, until they are closed.
        self._names: set[str] = set()

    def open(self) -> None:
        """Allow engines to start from now on."""
        self._opened.set()

    def retire(self) -> None:
        """Restart no engine that dies from now on."""
        for shared in self._shared.values():
            shared.engine.retire()

    async def acquire(self, spec: EngineSpec) -> PoolingEngine:
        """The engine, started; the caller releases it. Raises the errors of its start."""
        shared = self._shared.get(spec)
        if shared is None:
            name = self._free_name(spec)
            self._names.add(name)
            engine = PoolingEngine(
                spec, name=name, metrics=self._metrics, turn=self._turn, expected=self._expected
            )
            shared = _Shared(engine=engine, starting=asyncio.create_task(self._start(engine)))
            self._shared[spec] = shared
        shared.users += 1
        try:
            await asyncio.shield(shared.starting)
        except BaseException:
            await self.release(spec)
            raise
        return shared.engine

    async def release(self, spec: EngineSpec) -> None:
        shared = self._shared.get(spec)
        if shared is None:
            return
        shared.users -= 1
        if not shared.users:
            await asyncio.shield(self._drop(spec))

    async def close(self) -> None:
        """Close all engines, and wait until they have ended."""
        for spec in list(self._shared):
            self._drop(spec)
        await asyncio.gather(*self._closing)

    def _free_name(self, spec: EngineSpec) -> str:
        """The name of the specification, with a number from 2 on while another engine has it."""
        numbered = (f"{spec.name}-{number}" for number in itertools.count(2))
        return next(name for name in itertools.chain([spec.name], numbered) if name not in self._names)

    def _drop(self, spec: EngineSpec) -> asyncio.Task[None]:
        """Close an engine, to the end even if the caller is cancelled."""
        shared = self._shared.pop(spec)

        async def close() -> None:
            shared.starting.cancel()
            await asyncio.gather(shared.starting, return_exceptions=True)
            try:
                await shared.engine.close()
            finally:
                self._names.discard(shared.engine.name)

        closing = asyncio.create_task(close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return closing

    async def _start(self, engine: PoolingEngine) -> None:
        await self._opened.wait()
        await engine.start()
