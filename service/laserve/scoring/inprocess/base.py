"""The common base of reward models in this process: prompts that are read once, requests in joint batches."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from laserve.errors import ArmFailed, ConfigError, Unscorable
from laserve.scoring.inprocess.worker import Worker
from laserve.scoring.once import Once
from laserve.scoring.reading import PromptReading
from laserve.scoring.rendering import Prompt, RewardTokenizer, render_candidate, render_prompt
from laserve.types import Candidate, Request, Vector

Matrix = npt.NDArray[np.float64]
#: A prompt as the backend has read it, and the ids of a candidate and of the end of its turn.
Job = tuple[Any, tuple[int, ...]]
#: Bound on the tokens of kept prompts, in lengths of the longest text; dropped prompts are read again.
_LONGEST_KEPT = 4


class Backend(Protocol):
    """A loaded model, whose methods are called on the thread that loaded it."""

    @property
    def tokenizer(self) -> RewardTokenizer: ...

    @property
    def max_model_len(self) -> int:
        """Length of the longest text, in tokens."""

    def read(self, ids: Sequence[int]) -> Any:
        """Read a prompt of at least one token; the result is shared by all candidates behind it."""

    def fits(self, batch: Sequence[Job], job: Job) -> bool:
        """Whether a job may join this non-empty batch."""

    def run(self, batch: Sequence[Job]) -> Sequence[Sequence[float]]:
        """Outputs of each job, all of one length."""


class InProcess:
    """A backend on its own thread, for several requests at once; a kind adds its name and `weights`.

    Args:
        load: makes the backend, on the thread. Raises ConfigError for an error that a setting can correct.
        name: name of the thread.
    """

    free = False
    needs_all = False
    reads_ahead = True

    def __init__(self, load: Callable[[], Backend], *, name: str) -> None:
        self._load = load
        self._backend: Backend | None = None
        self._worker = Worker[Job, Sequence[float]](self._run, fits=self._fits, name=name)
        #: Kept prompts and their numbers of tokens, the oldest first.
        self._kept: dict[Once[Any], int] = {}

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
        except (RuntimeError, MemoryError, AssertionError) as error:  # AssertionError: torch has no CUDA
            raise ArmFailed(f"its model could not be loaded: {error}") from error

    async def close(self) -> None:
        await self._worker.close()
        self._backend = None

    def open(self, request: Request) -> "InProcessReading":
        return InProcessReading(self, request)

    def weights(self, request: Request) -> Vector:
        """Weights of the model's outputs in a score, shape (outputs,); 1 for a single output.

        Raises:
            Unscorable: the request names outputs that the model does not have.
        """
        return np.ones(1)

    async def render(self, request: Request) -> Prompt:
        prompt = await render_prompt(request, self._loaded.tokenizer, self._loaded.max_model_len)
        if not prompt.ids:
            raise Unscorable("the request has no tokens for this reward model")
        return prompt

    async def end(self, candidate: Candidate, prompt: Prompt) -> tuple[int, ...]:
        """Ids of a candidate and of the end of its turn."""
        return await render_candidate(candidate.text, prompt, self._loaded.tokenizer)

    async def read(self, prompt: Prompt) -> Any:
        """The prompt as the backend has read it."""
        try:
            return await self._worker.call(partial(self._loaded.read, prompt.ids))
        except (RuntimeError, MemoryError) as error:
            raise ArmFailed(f"its model failed: {error}") from error

    async def run(self, jobs: Sequence[Job]) -> Sequence[Sequence[float]]:
        """Outputs of each job; batches are joined with those of other requests."""
        try:
            return await self._worker.submit(jobs)
        except (RuntimeError, MemoryError) as error:
            raise ArmFailed(f"its model failed: {error}") from error

    def keep(self, read: Once[Any], tokens: int) -> None:
        """Add a kept prompt; the oldest prompts are dropped while the total is over the bound."""
        self._kept[read] = tokens
        while len(self._kept) > 1 and sum(self._kept.values()) > self._loaded.max_model_len * _LONGEST_KEPT:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            oldest.drop()

    def forget(self, read: Once[Any]) -> None:
        """Remove a prompt from the kept ones."""
        self._kept.pop(read, None)

    def _run(self, batch: Sequence[Job]) -> Sequence[Sequence[float]]:
        return self._loaded.run(batch)

    def _fits(self, batch: Sequence[Job], job: Job) -> bool:
        return self._loaded.fits(batch, job)


class InProcessReading(PromptReading[Any]):
    """A prompt as the backend has read it, kept until others need its memory; see `Reading`."""

    def __init__(self, model: InProcess, request: Request) -> None:
        super().__init__(lambda: model.render(request))
        self._model = model
        self._request = request

    async def prefill(self) -> None:
        await self._read.get(self._compute)

    async def score(self, candidates: Sequence[Candidate]) -> Vector:
        weights = self._model.weights(self._request)
        return np.asarray(await self._outputs(candidates) @ weights, dtype=np.float64)

    def close(self) -> None:
        super().close()
        self._model.forget(self._read)

    async def _outputs(self, candidates: Sequence[Candidate]) -> Matrix:
        """Outputs of the model for each candidate, shape (len(candidates), outputs), float64."""
        prompt = await self._rendered()
        answers = await asyncio.gather(*(self._model.end(candidate, prompt) for candidate in candidates))
        read = await self._read.get(self._compute)
        # Sorted by length, so that the candidates of a batch have similar lengths.
        order = sorted(range(len(answers)), key=lambda index: len(answers[index]))
        rows = await self._model.run([(read, answers[index]) for index in order])
        outputs = np.empty((len(answers), len(rows[0])), dtype=np.float64)
        outputs[order] = rows
        return outputs

    async def _compute(self) -> Any:
        prompt = await self._rendered()
        read = await self._model.read(prompt)
        self._model.keep(self._read, len(prompt.ids))
        return read
