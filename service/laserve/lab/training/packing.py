"""Packing of a prompt and all its answers into one sequence, so that training computes the prompt once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from laserve.errors import Unscorable
from laserve.lab.data.row import Row
from laserve.scoring.rendering import RewardTokenizer, render_candidate, render_prompt


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Token ids of a row."""

    prompt: tuple[int, ...]
    #: Each answer with the tokens that close its turn.
    answers: tuple[tuple[int, ...], ...]
    #: Quality of each answer, in [0, 1].
    rewards: tuple[float, ...]


async def pack(row: Row, tokenizer: RewardTokenizer, max_tokens: int) -> Packed | None:
    """Render a row; None if it does not fit into `max_tokens` for prompt and one answer."""
    try:
        prompt = await render_prompt(row.request, tokenizer, max_tokens)
        answers = [await render_candidate(text, prompt, tokenizer) for text in row.texts]
    except Unscorable:
        return None
    return Packed(prompt=prompt.ids, answers=tuple(answers), rewards=row.qualities)


def digest(rows: Sequence[Packed]) -> str:
    """SHA-256 of the tokens and qualities of rows, in hexadecimal digits."""
    made = hashlib.sha256()
    for one in rows:
        made.update(repr((one.prompt, one.answers, one.rewards)).encode())
    return made.hexdigest()


def scores(core: Any, prompt: Sequence[int], answers: Sequence[Sequence[int]]) -> Any:
    """Scores of the answers after one prompt, equal to those of each answer alone.

    Every answer attends to the prompt and itself: a mask excludes the other answers, and positions continue
    from the prompt's end.

    Args:
        core: a causal sequence classifier of transformers with one output and active adapters.

    Returns:
        torch tensor of shape (len(answers),), float32, with its gradient.
    """
    import torch

    ids = [*prompt, *(token for answer in answers for token in answer)]
    device = core.score.weight.device
    start = len(prompt)
    owner = torch.full((len(ids),), -1)
    positions = torch.arange(len(ids))
    ends = []
    for index, answer in enumerate(answers):
        end = start + len(answer)
        owner[start:end] = index
        positions[start:end] = torch.arange(len(prompt), len(prompt) + len(answer))
        ends.append(end - 1 if answer else len(prompt) - 1)
        start = end
    causal = torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    seen = causal & ((owner[None, :] == -1) | (owner[None, :] == owner[:, None]))
    states = core.model(
        input_ids=torch.tensor([ids], device=device),
        attention_mask=seen[None, None].to(device),
        position_ids=positions[None].to(device),
        use_cache=False,
    ).last_hidden_state
    return core.score(states[0, ends].to(core.score.weight.dtype))[:, 0].float()
