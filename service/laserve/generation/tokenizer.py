"""The tokenizer of a model in a folder, by transformers."""

from collections.abc import Sequence
from typing import Any

from laserve.errors import ConfigError, InvalidRequest


class FolderTokenizer:
    """See `laserve.generation.base.Tokenizer`.

    Raises:
        ConfigError: the folder holds no tokenizer.
    """

    def __init__(self, path: str) -> None:
        from transformers import AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"generation.model: no tokenizer at {path}: {error}") from error

    async def encode(self, text: str, *, literal: bool = False) -> Sequence[int]:
        ids: list[int] = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=literal, verbose=False
        ).input_ids
        return ids

    async def encode_prompt(self, text: str) -> Sequence[int]:
        ids: list[int] = self._tokenizer(text, verbose=False).input_ids
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
