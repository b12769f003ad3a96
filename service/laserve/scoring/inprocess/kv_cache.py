"""Prompts that a decoder reads once, and the candidates behind them.

The candidates of a batch form one sequence behind the prompts. A mask lets each candidate attend to its own
prompt and to itself, and its positions continue from its prompt's end, so that every score is as if the
candidate had been read alone. There is no padding, and no key or value is copied per candidate.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

#: A model: keyword arguments of a transformers decoder -> its states or logits, shape (1, tokens, width).
Forward = Callable[..., Any]

#: Largest change of a row by reading behind a shared prompt, as a share of the row's largest value.
_TOLERANCE = {"float32": 1e-3, "float16": 0.03, "bfloat16": 0.2}
#: Numbers of tokens in the text of the trial, and in the prompt of this text.
_TRIAL, _TRIAL_PROMPT = 24, 12


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadPrompt:
    """A prompt and its keys and values."""

    ids: tuple[int, ...]
    #: For each layer, keys and values of shape (1, heads, len(ids), head size); empty if not shared.
    layers: tuple[tuple[Any, Any], ...]
    #: Output of the model for the last token, shape (width,).
    last: Any


@dataclass(frozen=True, kw_only=True)
class Behind:
    """A candidate with the end of its turn, at least one token, behind a prompt."""

    prompt: ReadPrompt
    ids: tuple[int, ...]


class Reader:
    """A decoder that reads prompts, and candidates behind them.

    Some kinds of attention (a sliding window, positions inside the attention) cannot share a prompt in this
    way. The constructor tries it; if it fails, every text is read whole.

    Args:
        forward: the model.
        config: the transformers config of the model.
        device: device of the model.
        chunk: largest number of tokens in one pass through a prompt.
        max_model_len: length of the longest text, in tokens.
        name: name of the model, for the log.
    """

    def __init__(
        self, forward: Forward, config: Any, *, device: str, chunk: int, max_model_len: int, name: str
    ) -> None:
        self._forward = forward
        self._device = device
        self._chunk = chunk
        text = config.get_text_config()
        window = getattr(text, "sliding_window", None)
        self.shares = (window is None or window >= max_model_len) and self._try_sharing(text.vocab_size)
        if not self.shares:
            logger.warning(
                "%s cannot share a prompt between candidates; each candidate is read with its whole prompt",
                name,
            )

    def prompt(self, ids: Sequence[int]) -> ReadPrompt:
        """Read a prompt of at least one token."""
        import torch

        with torch.inference_mode():
            if not self.shares:
                return ReadPrompt(ids=tuple(ids), layers=(), last=self._whole(ids)[-1])
            return self._read_prompt(ids)

    def behind(self, rows: Sequence[Behind]) -> list[Any]:
        """Read candidates behind their prompts.

        Returns:
            For each row the model's outputs for its tokens, shape (len(row.ids), width).
        """
        import torch

        with torch.inference_mode():
            if not self.shares:
                return [self._whole([*row.prompt.ids, *row.ids])[-len(row.ids) :] for row in rows]
            return self._read_behind(rows) if rows else []

    def _whole(self, ids: Sequence[int]) -> Any:
        import torch

        return self._forward(input_ids=torch.tensor([ids], device=self._device), use_cache=False)[0]

    def _read_prompt(self, ids: Sequence[int]) -> ReadPrompt:
        import torch
        from transformers import DynamicCache

        cache = DynamicCache()
        states: Any = None
        for start in range(0, len(ids), self._chunk):
            part = torch.tensor([ids[start : start + self._chunk]], device=self._device)
            positions = torch.arange(start, start + part.shape[1], device=self._device)[None]
            states = self._forward(
                input_ids=part, position_ids=positions, past_key_values=cache, use_cache=True
            )
        layers = tuple((layer.keys, layer.values) for layer in cache.layers)
        return ReadPrompt(ids=tuple(ids), layers=layers, last=states[0, -1].clone())

    def _read_behind(self, rows: Sequence[Behind]) -> list[Any]:
        import torch

        prompts = list({id(row.prompt): row.prompt for row in rows}.values())
        positions = [len(row.prompt.ids) + offset for row in rows for offset in range(len(row.ids))]
        # The mask is additive, the form that every kind of attention in transformers accepts.
        dtype = prompts[0].layers[0][0].dtype
        hidden = ~_seen(prompts, rows).to(self._device)
        mask = torch.zeros(hidden.shape, dtype=dtype, device=self._device)
        states = self._forward(
            input_ids=torch.tensor([[token for row in rows for token in row.ids]], device=self._device),
            attention_mask=mask.masked_fill_(hidden, torch.finfo(dtype).min)[None, None],
            position_ids=torch.tensor([positions], device=self._device),
            past_key_values=_joined(prompts),
            use_cache=True,
        )
        return list(states[0].split([len(row.ids) for row in rows]))

    def _try_sharing(self, vocabulary: int) -> bool:
        """Whether texts behind a shared prompt have the outputs of texts that are read whole."""
        import torch

        ids = torch.randint(vocabulary, (_TRIAL,), generator=torch.Generator().manual_seed(0)).tolist()
        start, middle = _TRIAL_PROMPT, _TRIAL_PROMPT + 3
        with torch.inference_mode():
            try:
                prompt = self._read_prompt(ids[:start])
                rows = [Behind(prompt=prompt, ids=tuple(part)) for part in (ids[start:middle], ids[middle:])]
                shared = self._read_behind(rows)
            except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
                return False
            whole = [self._whole([*ids[:start], *row.ids])[start:] for row in rows]
        allowed = _TOLERANCE[str(whole[0].dtype).removeprefix("torch.")]
        return all(
            float((one - other).abs().max()) <= allowed * float(other.abs().max())
            for one, other in zip(shared, whole, strict=True)
        )


def tokens_of(rows: Sequence[tuple[ReadPrompt, Sequence[int]]]) -> int:
    """Tokens of a pass: of the candidates, and of all prompts but the first, which masks hide."""
    prompts = {id(prompt): len(prompt.ids) for prompt, _ in rows}
    return sum(prompts.values()) - len(rows[0][0].ids) + sum(len(ids) for _, ids in rows)


def _seen(prompts: Sequence[ReadPrompt], rows: Sequence[Behind]) -> Any:
    """Whether a token of the rows attends to a token, shape (tokens of rows, tokens of prompts and rows)."""
    import torch

    starts: dict[int, int] = {}
    total = 0
    for prompt in prompts:
        starts[id(prompt)] = total
        total += len(prompt.ids)
    height = sum(len(row.ids) for row in rows)
    seen = torch.zeros(height, total + height, dtype=torch.bool)
    top = 0
    for row in rows:
        start, end = starts[id(row.prompt)], top + len(row.ids)
        seen[top:end, start : start + len(row.prompt.ids)] = True
        seen[top:end, total + top : total + end] = torch.ones(end - top, end - top).tril().bool()
        top = end
    return seen


def _joined(prompts: Sequence[ReadPrompt]) -> Any:
    """A cache of these prompts, one behind the other; reading on does not change the prompts."""
    import torch
    from transformers import DynamicCache

    if len(prompts) == 1:
        return DynamicCache(prompts[0].layers)
    layers = zip(*(prompt.layers for prompt in prompts), strict=True)
    return DynamicCache(
        [tuple(torch.cat(parts, dim=-2) for parts in zip(*each, strict=True)) for each in layers]
    )
