"""The tokenizer of a model in a folder, by transformers."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from laserve.errors import ConfigError, InvalidRequest


class FolderTokenizer:
    """See `laserve.generation.base.Tokenizer`.

    Raises:
        ConfigError: the folder holds no tokenizer.
    """

    def __init__(self, path: str) -> None:
        from transformers import AutoTokenizer

        # One thread: a long text must not stop the event loop, and the tokenizer keeps its options as state.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"generation.model: no tokenizer at {path}: {error}") from error

    async def encode(self, text: str, *, literal: bool = False) -> Sequence[int]:
        return await self._run(text, add_special_tokens=False, split_special_tokens=literal)

    async def encode_prompt(self, text: str) -> Sequence[int]:
        return await self._run(text, split_special_tokens=False)

    async def _run(self, text: str, **options: bool) -> Sequence[int]:
        loop = asyncio.get_running_loop()
        work = partial(self._tokenizer, text, verbose=False, **options)
        ids: list[int] = (await loop.run_in_executor(self._thread, work)).input_ids
        return ids

    async def encode_chat(self, messages: Sequence[dict[str, str]]) -> Sequence[int]:
        from jinja2 import TemplateError

        if not self._tokenizer.chat_template:
            raise InvalidRequest("messages: this model has no chat template; send a prompt", param="messages")
        try:
            text: str = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            raise InvalidRequest(
                f"messages: the model's chat template refuses them: {error}", param="messages"
            ) from error
        return await self.encode(text)
