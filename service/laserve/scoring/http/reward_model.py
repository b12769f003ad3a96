"""The kind ``remote``: a reward model on a vLLM server."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from laserve.errors import ArmFailed, ConfigError, Unscorable
from laserve.models.folders import check_chat_template
from laserve.models.packaged import resolve
from laserve.models.tokenizer import FolderTokenizer
from laserve.scoring.http.server import RemoteServer
from laserve.scoring.inprocess.pairs import PairTokenizer
from laserve.scoring.inprocess.pretrained import SHORTEST
from laserve.scoring.reading import PromptReading
from laserve.scoring.rendering import Prompt, render_candidate, render_prompt
from laserve.types import Candidate, Request, Vector

#: Seconds within which a server must score its first text.
_TRY_S = 60.0

Endpoint = Literal["classify", "pooling", "score"]

#: Endpoint -> the outputs for a text in the endpoint's answer.
_OUTPUTS: dict[str, Callable[[Any], Any]] = {
    "classify": lambda each: each["probs"],
    "pooling": lambda each: each["data"],
    "score": lambda each: [each["score"]],
}


class RemoteModel:
    """The raw output (no activation) of a sequence classifier with one label, served by vLLM.

    Requests are rendered here and sent as token ids, the prompt alone first, so that the server's prefix
    cache holds it for all candidates. For the endpoint ``score``, which serves cross-encoders, request and
    candidate are sent as two texts; a space is inserted into special tokens that a text spells out.

    Args:
        cache_dir: folder in which packaged models are prepared.
        url: URL of the server.
        tokenizer: folder of the served model's tokenizer and chat template, or name of a packaged model.
        model: name of the model on the server; by default the server's only model.
        api_key: key that is sent as a bearer token.
        endpoint: ``classify``, ``pooling`` or ``score``.
        max_model_len: longest request and candidate together, in tokens; by default the server's.
    """

    kind = "remote"
    free = False
    needs_all = False
    reads_ahead = True

    def __init__(
        self,
        *,
        cache_dir: Path,
        url: str,
        tokenizer: str,
        model: str | None = None,
        api_key: str | None = None,
        endpoint: Endpoint = "classify",
        max_model_len: int | None = None,
    ) -> None:
        if endpoint not in get_args(Endpoint):
            raise ConfigError.at(
                "options.endpoint",
                f"unknown endpoint {endpoint!r}; there are: {', '.join(get_args(Endpoint))}",
            )
        if max_model_len is not None and max_model_len < SHORTEST:
            raise ConfigError.at("options.max_model_len", f"must be at least {SHORTEST}")
        self._server = RemoteServer(url, api_key=api_key)
        self._endpoint = endpoint
        self._folder, self._cache_dir = tokenizer, cache_dir
        self._requested_model, self._model = model, ""
        self._requested_len, self._max_model_len = max_model_len, 0
        self._tokenizer: FolderTokenizer | None = None

    async def load(self) -> None:
        path = resolve(self._folder, self._cache_dir, weights=False, setting="options.tokenizer")
        if self._endpoint == "score":
            self._tokenizer = PairTokenizer(path, setting="options.tokenizer")
        else:
            check_chat_template(Path(path), "options.tokenizer")
            self._tokenizer = FolderTokenizer(path, setting="options.tokenizer")
        self._model, card = await self._server.find(self._requested_model)
        served = card.get("max_model_len")
        if served is None and self._requested_len is None:
            raise ConfigError.at(
                "options.max_model_len",
                f"{self._server.name} does not report its longest input; set this option",
            )
        self._max_model_len = min(int(each) for each in (served, self._requested_len) if each is not None)
        await self._try()

    async def close(self) -> None:
        await self._server.close()

    def open(self, request: Request) -> "RemoteReading":
        return RemoteReading(self, request)

    async def render(self, request: Request) -> Prompt:
        return await render_prompt(request, self._loaded, self._max_model_len)

    async def inputs(self, prompt: Prompt, candidates: Sequence[Candidate]) -> dict[str, Any]:
        """The fields of the endpoint's body for the candidates, with their prompt."""
        answers = [await render_candidate(each.text, prompt, self._loaded) for each in candidates]
        if isinstance(self._loaded, PairTokenizer):
            question = await self._loaded.first_text(prompt.ids)
            return {
                "queries": question,
                "documents": [self._loaded.harmless(each.text) for each in candidates],
            }
        return {"input": [[*prompt.ids, *answer] for answer in answers]}

    async def read(self, prompt: Prompt) -> None:
        """Let the server read the prompt."""
        if prompt.ids and self._endpoint != "score":
            await self.outputs({"input": [list(prompt.ids)]}, 1)

    async def outputs(self, inputs: Mapping[str, Any], count: int) -> Vector:
        """Scores of these inputs, shape (count,), float64."""
        body = {"model": self._model, "use_activation": False, **inputs}
        answer = await self._server.post(f"/{self._endpoint}", body)
        try:
            data = sorted(answer["data"], key=lambda each: int(each["index"]))
            outputs = np.array([_OUTPUTS[self._endpoint](each) for each in data], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise ArmFailed(f"{self._server.name} answered /{self._endpoint} without scores") from error
        if outputs.shape != (count, 1):
            raise ArmFailed(f"{self._server.name} gave outputs of shape {outputs.shape} for {count} texts")
        return outputs[:, 0]

    @property
    def _loaded(self) -> FolderTokenizer:
        if self._tokenizer is None:
            raise ArmFailed("its model has not been loaded")
        return self._tokenizer

    async def _try(self) -> None:
        """Raise ConfigError unless the server scores a text."""
        word = list(await self._loaded.encode("a"))
        inputs = {"queries": "a", "documents": ["b"]} if self._endpoint == "score" else {"input": [word]}
        try:
            async with asyncio.timeout(_TRY_S):
                await self.outputs(inputs, 1)
        except TimeoutError as error:
            raise ConfigError.at(
                "options.url", f"{self._server.name} scored no text within {_TRY_S:g} s"
            ) from error
        except Unscorable as error:
            raise ConfigError.at(
                "options.endpoint", f"{error.message}; expected a classifier with one label"
            ) from error
        except ArmFailed as error:
            raise ConfigError.at("options.endpoint", error.message) from error


class RemoteReading(PromptReading[None]):
    """A prompt that the server reads alone before it reads candidates behind it; see `Reading`."""

    def __init__(self, model: RemoteModel, request: Request) -> None:
        super().__init__(lambda: model.render(request))
        self._model = model

    async def prefill(self) -> None:
        await self._read.get(self._compute)

    async def score(self, candidates: Sequence[Candidate]) -> Vector:
        inputs = await self._model.inputs(await self._rendered(), candidates)
        await self._read.get(self._compute)
        return await self._model.outputs(inputs, len(candidates))

    async def _compute(self) -> None:
        await self._model.read(await self._rendered())
