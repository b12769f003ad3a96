"""The common base of readings whose model renders the request in its own chat template."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from laserve.scoring.once import Once
from laserve.scoring.rendering import Prompt

R = TypeVar("R")


class PromptReading(Generic[R]):
    """A prompt, rendered once, and its model's state for it; see `laserve.scoring.base.Reading`.

    Args:
        render: renders the request.
    """

    def __init__(self, render: Callable[[], Awaitable[Prompt]]) -> None:
        self._render = render
        self._prompt = Once[Prompt]()
        #: The model's state for the prompt, such as its keys and values.
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
