"""A prompt that a decoder has read, and candidates behind it: the prompt is computed once for all of them.

The candidates of a batch are one sequence behind the prompts. A mask lets each see its own prompt and itself,
and its positions go on from its prompt's end, so that every score is as if it had been read alone. Nothing is
padded, and no key or value is copied once per candidate.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

#: A model: keyword arguments of a transformers decoder -> its states or logits, shape (1, tokens, width).
Forward = Callable[..., Any]

#: What reading behind a shared prompt may change in a row, as a share of its largest value.
_TOLERANCE = {"float32": 1e-3, "float16": 0.03, "bfloat16": 0.2}
#: Tokens of the text with which that is tried, and of the prompt in it.
_TRIAL, _TRIAL_PROMPT = 24, 12


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadPrompt:
    """A prompt and its keys and values."""

    ids: tuple[int, ...]
    #: For each layer, keys and values of shape (1, heads, len(ids), head size); empty where none are shared.
    layers: tuple[tuple[Any, Any], ...]
    #: What the model gave for its last token, shape (width,).
    last: Any


@dataclass(frozen=True, kw_only=True)
class Behind:
    """A candidate, with what closes its turn, behind a prompt; at least one token."""

    prompt: ReadPrompt
    ids: tuple[int, ...]


class Reader:
    """Reads prompts, and candidates behind them, with one decoder.

    Some kinds of attention (a sliding window, positions inside the attention) cannot share a prompt like
    this; such a model is found out when the reader is made, and reads every text whole.

    Args:
        forward: the model.
        config: its transformers config.
        device: where it runs.
        chunk: tokens of one pass through a prompt.
        max_model_len: longest text, in tokens.
        name: of the model, for the log.
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
            logger.warning("%s cannot share a prompt between candidates; each is read with it", name)

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
            For each row what the model gave for its tokens, shape (len(row.ids), width).
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
        positions = [len(row.prompt.ids) + place for row in rows for place in range(len(row.ids))]
        # As numbers that are added: every kind of attention in transformers takes these.
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
        """Whether texts behind a shared prompt give what they give when read whole."""
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
    """Tokens of a pass: those of the candidates, and of prompts other than the first, which masks hide."""
    prompts = {id(prompt): len(prompt.ids) for prompt, _ in rows}
    return sum(prompts.values()) - len(rows[0][0].ids) + sum(len(ids) for _, ids in rows)


def _seen(prompts: Sequence[ReadPrompt], rows: Sequence[Behind]) -> Any:
    """Which of all tokens each token of the rows sees, shape (tokens of rows, tokens of prompts and rows)."""
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
    """A cache of these prompts, one behind the other; what is read next does not change them."""
    import torch
    from transformers import DynamicCache

    if len(prompts) == 1:
        return DynamicCache(prompts[0].layers)
    layers = zip(*(prompt.layers for prompt in prompts), strict=True)
    return DynamicCache(
        [tuple(torch.cat(parts, dim=-2) for parts in zip(*each, strict=True)) for each in layers]
    )
