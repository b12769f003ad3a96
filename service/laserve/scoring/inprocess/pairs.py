"""The tokenizer of a cross-encoder: a request and a candidate as a pair."""

import asyncio
from collections.abc import Sequence
from typing import Any

from laserve.errors import ConfigError
from laserve.models.tokenizer import FolderTokenizer

#: Two arbitrary words; the ids around them are the model's marks of a pair.
_FIRST, _SECOND = "a", "b"


class PairTokenizer(FolderTokenizer):
    """A `laserve.scoring.rendering.RewardTokenizer`: the turns before the last are the pair's first text.

    With one turn before the candidate, the first text is its content alone; with more, each has its role.
    """

    @property
    def longest(self) -> int:
        """Length of the longest pair that the tokenizer makes, in tokens."""
        return int(self._tokenizer.model_max_length)

    async def _frame(self, roles: tuple[str, ...]) -> list[list[int]]:
        before, between, behind = await self._marks()
        *turns, _ = roles
        names = [list(await self.encode(f"{role}: ")) for role in turns] if len(turns) > 1 else [[]]
        line = list(await self.encode("\n"))
        pieces = [[*(line if turn else before), *name] for turn, name in enumerate(names)]
        return [*pieces, between, behind]

    def pad(self, batch: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Any:
        """Inputs of the model, as tensors, from the ids of both texts with their marks."""
        rows: dict[str, list[list[int]]] = {"input_ids": [[*first, *second] for first, second in batch]}
        if "token_type_ids" in self._tokenizer.model_input_names:
            rows["token_type_ids"] = [[0] * len(first) + [1] * len(second) for first, second in batch]
        return self._tokenizer.pad(rows, padding=True, return_tensors="pt")

    async def first_text(self, ids: Sequence[int]) -> str:
        """The first text of a pair, from its ids and the marks around it."""
        before, between, _ = await self._marks()
        inner = list(ids[len(before) : len(ids) - len(between)])
        text = await asyncio.get_running_loop().run_in_executor(self._thread, self._tokenizer.decode, inner)
        return self.harmless(str(text))

    def harmless(self, text: str) -> str:
        """The text without special tokens: each gets a space behind its first character."""
        for special in self._tokenizer.all_special_tokens:
            text = text.replace(special, f"{special[0]} {special[1:]}")
        return text

    async def _marks(self) -> tuple[list[int], list[int], list[int]]:
        """Ids before, between and behind the texts of a pair."""
        pair = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._tokenizer, _FIRST, _SECOND
        )
        if not pair.is_fast:
            raise ConfigError.at(
                self._setting, "the tokenizer has no tokenizer.json; save it as a fast tokenizer"
            )
        owners, ids = pair.sequence_ids(0), pair.input_ids
        first, second = owners.index(0), owners.index(1)
        end = len(owners) - owners[::-1].index(0)
        close = len(owners) - owners[::-1].index(1)
        return ids[:first], ids[end:second], ids[close:]
