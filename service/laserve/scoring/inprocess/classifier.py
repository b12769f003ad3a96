"""Backends of sequence classifiers: decoders that read a prompt once, and encoders that read pairs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from laserve.models.folders import adapter_folder, check_adapter, check_chat_template, check_model
from laserve.models.packaged import resolve
from laserve.models.tokenizer import FolderTokenizer
from laserve.scoring.inprocess.base import Backend, Job
from laserve.scoring.inprocess.kv_cache import Behind, Reader, tokens_of
from laserve.scoring.inprocess.pairs import PairTokenizer
from laserve.scoring.inprocess.pretrained import longest, quiet, with_adapter

Dtype = Literal["auto", "bfloat16", "float16", "float32"]


def load_classifier(
    *,
    model: str,
    adapter: str | None,
    outputs: int,
    cache_dir: Path,
    device: str,
    dtype: Dtype,
    max_model_len: int | None,
    batch_tokens: int,
    trust_remote_code: bool,
) -> Backend:
    """Load a classifier; see `laserve.scoring.inprocess.reward_model` for the arguments.

    Args:
        outputs: number of outputs that the head must have.

    Raises:
        ConfigError: the folders do not hold a classifier with these outputs.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    path = resolve(model, cache_dir, setting="options.model")
    base = check_model(
        path,
        num_labels=None if adapter else outputs,
        trust_remote_code=trust_remote_code,
        setting="options.model",
    )
    if adapter is not None:
        check_adapter(adapter_folder(adapter), base, num_labels=outputs, setting="options.adapter")
    with quiet("options.model", path):
        core: Any = AutoModelForSequenceClassification.from_pretrained(
            path,
            num_labels=outputs,
            dtype=torch.float32 if dtype == "auto" else getattr(torch, dtype),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
        )
    decodes = hasattr(core, "score")
    if decodes and dtype == "auto":
        core = core.to(torch.bfloat16)
    if adapter is not None:
        core = with_adapter(core, adapter_folder(adapter)).base_model.model
    core = core.to(device).eval()
    length = longest(core.config, max_model_len)
    if not decodes:
        pairs = PairTokenizer(path, setting="options.model", trust_remote_code=trust_remote_code)
        return PairClassifier(
            core, pairs, max_model_len=min(length, pairs.longest), batch_tokens=batch_tokens
        )
    check_chat_template(Path(path), "options.model")
    tokenizer = FolderTokenizer(path, setting="options.model", trust_remote_code=trust_remote_code)
    return DecoderClassifier(core, tokenizer, max_model_len=length, batch_tokens=batch_tokens, name=path)


class DecoderClassifier:
    """A causal classifier whose score is read off the last token; see `Backend`."""

    def __init__(
        self, core: Any, tokenizer: FolderTokenizer, *, max_model_len: int, batch_tokens: int, name: str
    ) -> None:
        self.tokenizer = tokenizer
        self.max_model_len = max_model_len
        self._batch_tokens = batch_tokens
        self._head = core.score.float()  # in bfloat16 a score has three digits, and candidates would tie
        decoder = getattr(core, core.base_model_prefix)
        self._reader = Reader(
            lambda **inputs: decoder(**inputs).last_hidden_state,
            core.config,
            device=str(core.device),
            chunk=batch_tokens,
            max_model_len=max_model_len,
            name=name,
        )

    def read(self, ids: Sequence[int]) -> Any:
        return self._reader.prompt(ids)

    def fits(self, batch: Sequence[Job], job: Job) -> bool:
        return tokens_of([*batch, job]) <= self._batch_tokens

    def run(self, batch: Sequence[Job]) -> Sequence[Sequence[float]]:
        import torch

        states = iter(self._reader.behind([Behind(prompt=prompt, ids=ids) for prompt, ids in batch if ids]))
        with torch.inference_mode():
            last = torch.stack([next(states)[-1] if ids else prompt.last for prompt, ids in batch])
            rows: list[list[float]] = self._head(last.float()).tolist()
        return rows


class PairClassifier:
    """An encoder that reads the request and a candidate as a pair; see `Backend`."""

    def __init__(self, core: Any, tokenizer: PairTokenizer, *, max_model_len: int, batch_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.max_model_len = max_model_len
        self._core = core
        self._batch_tokens = batch_tokens

    def read(self, ids: Sequence[int]) -> Any:
        return tuple(ids)

    def fits(self, batch: Sequence[Job], job: Job) -> bool:
        longest = max(len(prompt) + len(ids) for prompt, ids in (*batch, job))
        return longest * (len(batch) + 1) <= self._batch_tokens

    def run(self, batch: Sequence[Job]) -> Sequence[Sequence[float]]:
        import torch

        with torch.inference_mode():
            inputs = self.tokenizer.pad(batch).to(self._core.device)
            rows: list[list[float]] = self._core(**inputs).logits.float().tolist()
        return rows
