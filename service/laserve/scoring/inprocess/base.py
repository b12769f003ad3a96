"""What all reward models share that transformers runs in this process: prompts read once, work joined."""

import asyncio
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from laserve.errors import ArmFailed, ConfigError, Unscorable
from laserve.scoring.inprocess.worker import Worker
from laserve.scoring.rendering import Prompt, Tokenizer, render_candidate, render_prompt
from laserve.scoring.requests import PerRequest
from laserve.types import Candidate, Request

Matrix = npt.NDArray[np.float64]
#: A prompt as the backend has read it, and a candidate with what closes its turn.
Job = tuple[Any, tuple[int, ...]]
#: Prompts that are kept, counted in longest texts; an older one is read again when candidates ask for it.
_LONGEST_KEPT = 4


class Backend(Protocol):
    """A loaded model; its methods are called on the thread it was loaded on."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def max_model_len(self) -> int:
        """Longest text, in tokens."""

    def read(self, ids: Sequence[int]) -> Any:
        """Compute what all candidates behind this prompt share; the prompt has at least one token."""

    def fits(self, batch: Sequence[Job], job: Job) -> bool:
        """Whether a job may join this batch, which is not empty."""

    def run(self, batch: Sequence[Job]) -> Sequence[Sequence[float]]:
        """Outputs of each job, all of one length."""


class InProcess:
    """Runs a backend on a thread of its own, for several requests at once; a kind adds its name and `score`.

    Args:
        load: makes the backend, on that thread. Raises ConfigError for what a setting can mend.
        name: of the thread.
    """

    free = False
    needs_all = False

    def __init__(self, load: Callable[[], Backend], *, name: str) -> None:
        self._load = load
        self._backend: Backend | None = None
        self._worker = Worker[Job, Sequence[float]](self._run, fits=self._fits, name=name)
        self._prompts = PerRequest[Prompt]()
        self._read = PerRequest[Any]()
        #: Requests whose prompts are kept, the one that was read first at the front, and their tokens.
        self._kept: deque[tuple[weakref.ref[Request], int]] = deque()

    @property
    def _loaded(self) -> Backend:
        if self._backend is None:
            raise ArmFailed("its model is not loaded")
        return self._backend

    async def load(self) -> None:
        try:
            self._backend = await self._worker.call(self._load)
        except ImportError as error:
            raise ConfigError.at("kind", f"{error}; pip install 'laserve[encoder]'") from error
        except (RuntimeError, MemoryError, AssertionError) as error:  # the last where torch has no CUDA
            raise ArmFailed(f"its model could not be loaded: {error}") from error

    async def close(self) -> None:
        await self._worker.close()
        self._backend = None

    async def prefill(self, request: Request) -> None:
        await self._read_prompt(request)

    def truncated(self, request: Request) -> bool:
        prompt = self._prompts.peek(request)
        return prompt is not None and prompt.truncated

    async def outputs(self, request: Request, candidates: Sequence[Candidate]) -> Matrix:
        """What the model says of each candidate, shape (len(candidates), outputs), float64.

        Raises:
            Unscorable: the request or a candidate is too long, or of a form that the model does not know.
            ArmFailed: the model failed.
        """
        prompt = await self._prompt(request)
        tokenizer = self._loaded.tokenizer
        answers = await asyncio.gather(
            *(render_candidate(candidate.text, prompt, tokenizer) for candidate in candidates)
        )
        read = await self._read_prompt(request)
        # By length, so that neighbours in a batch are alike.
        order = sorted(range(len(answers)), key=lambda place: len(answers[place]))
        try:
            rows = await self._worker.submit([(read, answers[place]) for place in order])
        except (RuntimeError, MemoryError) as error:
            raise ArmFailed(f"its model failed: {error}") from error
        outputs = np.empty((len(answers), len(rows[0])), dtype=np.float64)
        outputs[order] = rows
        return outputs

    def _run(self, batch: Sequence[Job]) -> Sequence[Sequence[float]]:
        return self._loaded.run(batch)

    def _fits(self, batch: Sequence[Job], job: Job) -> bool:
        return self._loaded.fits(batch, job)

    async def _prompt(self, request: Request) -> Prompt:
        return await self._prompts.get(request, partial(self._render, request))

    async def _read_prompt(self, request: Request) -> Any:
        return await self._read.get(request, partial(self._compute, request))

    async def _render(self, request: Request) -> Prompt:
        prompt = await render_prompt(request, self._loaded.tokenizer, self._loaded.max_model_len)
        if not prompt.ids:
            raise Unscorable("the request has no token for this reward model")
        return prompt

    async def _compute(self, request: Request) -> Any:
        prompt = await self._prompt(request)
        backend = self._loaded
        try:
            read = await self._worker.call(partial(backend.read, prompt.ids))
        except (RuntimeError, MemoryError) as error:
            raise ArmFailed(f"its model failed: {error}") from error
        self._keep(request, len(prompt.ids), backend.max_model_len * _LONGEST_KEPT)
        return read

    def _keep(self, request: Request, tokens: int, limit: int) -> None:
        """Count a prompt among the kept ones; the oldest are dropped while they have more than `limit`."""
        alive = [(each, size) for each, size in self._kept if each() is not None]
        self._kept = deque([*alive, (weakref.ref(request), tokens)])
        while len(self._kept) > 1 and sum(size for _, size in self._kept) > limit:
            oldest = self._kept.popleft()[0]()
            if oldest is not None:
                self._read.drop(oldest)
