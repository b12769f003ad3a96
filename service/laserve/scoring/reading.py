"""What the readings of models share that render a request in their own chat template."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from laserve.scoring.once import Once
from laserve.scoring.rendering import Prompt

R = TypeVar("R")


class PromptReading(Generic[R]):
    """A prompt, rendered once, and what its model keeps of it; see `laserve.scoring.base.Reading`.

    Args:
        render: renders the request.
    """

    def __init__(self, render: Callable[[], Awaitable[Prompt]]) -> None:
        self._render = render
        self._prompt = Once[Prompt]()
        #: What the model has computed for the prompt.
        self._read = Once[R]()

    @property
    def truncated(self) -> bool:
        prompt = self._prompt.peek()
        return prompt is not None and prompt.truncated

    def close(self) -> None:
        self._read.close()
        self._prompt.close()

    async def _rendered(self) -> Prompt:
        return await self._prompt.get(self._render)
