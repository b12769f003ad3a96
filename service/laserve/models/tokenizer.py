"""Tokenizer of a model in a folder, by transformers, and the division of a model's length among documents."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from laserve.errors import ConfigError, InvalidRequest

#: Placeholder for a turn's content while a chat template is split; no template and no text contains it.
_HOLE = "\u2063hole-{}\u2063"
#: Most sequences of roles with a cached frame; clients could send any number of sequences.
_KEPT_FRAMES = 256


class FolderTokenizer:
    """Implementation of `laserve.generation.base.Tokenizer` and `laserve.scoring.rendering.RewardTokenizer`.

    Args:
        path: folder of the model.
        setting: the setting that errors name.
        trust_remote_code: whether code that comes with the tokenizer may run.

    Raises:
        ConfigError: the folder holds no tokenizer, or a tokenizer with code that is not trusted.
    """

    def __init__(
        self, path: str, *, setting: str = "generation.model", trust_remote_code: bool = False
    ) -> None:
        from transformers import AutoTokenizer

        # One thread: a long text must not stop the event loop, and the tokenizer keeps its options as state.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")
        self._setting = setting
        self._frames: dict[tuple[str, ...], list[list[int]]] = {}
        try:
            # The value is always passed: without it, transformers asks on the terminal.
            self._tokenizer: Any = AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
        except (OSError, ValueError) as error:
            raise ConfigError.at(setting, f"no tokenizer at {path}: {error}") from error

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

    async def frame(self, roles: Sequence[str]) -> Sequence[Sequence[int]]:
        """Tokens of the chat template before, between and after the contents of turns of these roles.

        Returns:
            len(roles) + 1 lists of token ids.

        Raises:
            ConfigError: the model has no chat template.
            InvalidRequest: the template refuses turns of these roles, or omits the content of one.
        """
        key = tuple(roles)
        frame = self._frames.get(key)
        if frame is None:
            frame = await self._frame(key)
            while len(self._frames) >= _KEPT_FRAMES:
                del self._frames[next(iter(self._frames))]
            self._frames[key] = frame
        return frame

    async def _frame(self, roles: tuple[str, ...]) -> list[list[int]]:
        return [list(await self.encode(piece)) for piece in self._pieces(roles)]

    def _pieces(self, roles: Sequence[str]) -> list[str]:
        from jinja2 import TemplateError

        if not self._tokenizer.chat_template:
            raise ConfigError.at(
                self._setting,
                "the model has no chat template; save one with its tokenizer "
                "(chat_template.jinja beside tokenizer.json)",
            )
        holes = [_HOLE.format(index) for index in range(len(roles))]
        turns = [{"role": role, "content": hole} for role, hole in zip(roles, holes, strict=True)]
        try:
            rest: str = self._tokenizer.apply_chat_template(turns, tokenize=False)
        except TemplateError as error:
            raise InvalidRequest(
                f"messages: the reward model's chat template refuses turns of {', '.join(roles)}: {error}",
                param="messages",
            ) from error
        pieces = []
        for hole in holes:
            piece, separator, rest = rest.partition(hole)
            if not separator:
                raise InvalidRequest(
                    f"messages: the reward model's chat template leaves a turn out of {', '.join(roles)}",
                    param="messages",
                )
            pieces.append(piece)
        return [*pieces, rest]


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """Number of tokens that each document keeps: the longest are cut first, to a common length.

    Args:
        lengths: number of tokens of each document.
        room: number of tokens for all documents together, at least 0.
    """
    kept = [0] * len(lengths)
    left = room
    for done, index in enumerate(sorted(range(len(lengths)), key=lambda i: lengths[i])):
        kept[index] = min(lengths[index], left // (len(lengths) - done))
        left -= kept[index]
    return kept
