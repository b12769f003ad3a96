"""The kind ``implicit``: the implicit reward of a model that was tuned on preferences."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from laserve.errors import ConfigError
from laserve.models.folders import adapter_folder, check_adapter, check_chat_template, check_model
from laserve.models.packaged import resolve
from laserve.models.tokenizer import FolderTokenizer
from laserve.scoring.inprocess.base import InProcess, Job
from laserve.scoring.inprocess.classifier import Dtype
from laserve.scoring.inprocess.kv_cache import Behind, Forward, Reader, ReadPrompt
from laserve.scoring.inprocess.pretrained import check_options, longest, quiet, with_adapter
from laserve.types import Request, Vector

#: Rows of logits that are converted to probabilities at once, in float32.
_ROWS = 128


class ImplicitReward(InProcess):
    """beta * (log pi(y|x) - log ref(y|x)) in nats, summed over the tokens of an answer and of its turn's end.

    Rafailov et al., 2023, arXiv 2305.18290, equation 5 without its partition function, which is equal for all
    candidates of a request. Prompts are read in the policy's chat template, once by each model.

    Args:
        cache_dir: folder in which packaged models are prepared.
        model: folder or packaged name of the tuned model; with `adapter`, of the model before tuning.
        reference: folder of the model before tuning, with an equal tokenizer.
        adapter: folder of a LoRA adapter: `model` with it is the policy, `model` without it the reference.
        beta: weight of the divergence in tuning; it scales all scores.
        device: device of the models, such as ``cpu`` or ``cuda``.
        dtype: type of the weights; ``auto`` is bfloat16.
        max_model_len: longest request and candidate together, in tokens; by default the model's own.
        batch_tokens: largest number of tokens in a forward pass; each token takes a row of logits.
    """

    kind = "implicit"

    def __init__(
        self,
        *,
        cache_dir: Path,
        model: str,
        reference: str | None = None,
        adapter: str | None = None,
        beta: float = 0.1,
        device: str = "cpu",
        dtype: Dtype = "auto",
        max_model_len: int | None = None,
        batch_tokens: int = 1024,
    ) -> None:
        check_options(dtype=dtype, max_model_len=max_model_len, batch_tokens=batch_tokens)
        if (reference is None) == (adapter is None):
            raise ConfigError.at("options", "expected exactly one of reference and adapter")
        if not beta > 0:
            raise ConfigError.at("options.beta", "must be above 0")
        self._beta = beta
        super().__init__(
            partial(
                _load,
                model=model,
                reference=reference,
                adapter=adapter,
                cache_dir=cache_dir,
                device=device,
                dtype="bfloat16" if dtype == "auto" else dtype,
                max_model_len=max_model_len,
                batch_tokens=batch_tokens,
            ),
            name="rm-implicit",
        )

    def weights(self, request: Request) -> Vector:
        return np.array([self._beta])


class LogRatio:
    """log pi(y|x) - log ref(y|x); see `laserve.scoring.inprocess.base.Backend`.

    Args:
        policy, reference: readers whose rows are logits.
    """

    def __init__(
        self,
        policy: Reader,
        reference: Reader,
        tokenizer: FolderTokenizer,
        *,
        max_model_len: int,
        batch_tokens: int,
    ) -> None:
        self.tokenizer = tokenizer
        self.max_model_len = max_model_len
        self._readers = (policy, reference)
        self._batch_tokens = batch_tokens

    def read(self, ids: Sequence[int]) -> Any:
        return tuple(reader.prompt(ids) for reader in self._readers)

    def fits(self, batch: Sequence[Job], job: Job) -> bool:
        """Whether the job is of the batch's request: a second prompt would cost attention in both models."""
        same = batch[0][0] is job[0]
        return same and sum(len(ids) for _, ids in (*batch, job)) <= self._batch_tokens

    def run(self, batch: Sequence[Job]) -> Sequence[Sequence[float]]:
        policy, reference = (
            _logprobs(reader, [(read[index], ids) for read, ids in batch])
            for index, reader in enumerate(self._readers)
        )
        return [[ours - theirs] for ours, theirs in zip(policy, reference, strict=True)]


def _logprobs(reader: Reader, rows: Sequence[tuple[ReadPrompt, tuple[int, ...]]]) -> list[float]:
    """Log-probability of each row's tokens given its prompt, in nats."""
    import torch

    logits = iter(reader.behind([Behind(prompt=prompt, ids=ids) for prompt, ids in rows if ids]))
    with torch.inference_mode():
        return [_sum(prompt, ids, next(logits)) if ids else 0.0 for prompt, ids in rows]


def _sum(prompt: ReadPrompt, ids: Sequence[int], logits: Any) -> float:
    """Sum of log p(ids[t] | prompt, ids[:t]); the prompt's last token predicts the first."""
    import torch

    total = 0.0
    before = torch.cat([prompt.last[None], logits[:-1]])
    for start in range(0, len(ids), _ROWS):
        part = before[start : start + _ROWS].float().log_softmax(-1)
        wanted = torch.tensor(ids[start : start + _ROWS], device=part.device)
        total += float(part.gather(1, wanted[:, None]).double().sum())
    return total


def _load(
    *,
    model: str,
    reference: str | None,
    adapter: str | None,
    cache_dir: Path,
    device: str,
    dtype: str,
    max_model_len: int | None,
    batch_tokens: int,
) -> LogRatio:
    path = resolve(model, cache_dir, setting="options.model")
    check_chat_template(Path(path), "options.model")
    policy = _language_model(path, "options.model", device, dtype)
    if adapter is not None:
        ours, theirs = _with_and_without(policy, path, adapter, device)
        length = longest(policy.config, max_model_len)
        configs = (policy.config, policy.config)
    else:
        before = resolve(reference or "", cache_dir, setting="options.reference")
        other = _language_model(before, "options.reference", device, dtype)
        if other.config.get_text_config().vocab_size != policy.config.get_text_config().vocab_size:
            raise ConfigError.at("options.reference", "its vocabulary differs from that of options.model")
        ours, theirs = _logits(policy), _logits(other)
        configs = (policy.config, other.config)
        length = min(longest(config, max_model_len) for config in configs)
    policy_reader, reference_reader = (
        Reader(forward, config, device=device, chunk=batch_tokens, max_model_len=length, name=path)
        for forward, config in zip((ours, theirs), configs, strict=True)
    )
    return LogRatio(
        policy_reader,
        reference_reader,
        FolderTokenizer(path, setting="options.model"),
        max_model_len=length,
        batch_tokens=batch_tokens,
    )


def _language_model(path: str, setting: str, device: str, dtype: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    check_model(path, num_labels=None, setting=setting)
    with quiet(setting, path):
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True
        )
    return model.to(device).eval()


def _logits(model: Any) -> Forward:
    return lambda **inputs: model(**inputs).logits


def _with_and_without(model: Any, path: str, adapter: str, device: str) -> tuple[Forward, Forward]:
    """The model with the adapter, and the model without it."""
    base = check_model(path, num_labels=None, setting="options.model")
    folder = check_adapter(adapter_folder(adapter), base, num_labels=None, setting="options.adapter")
    if folder.head is not None:
        raise ConfigError.at(
            "options.adapter",
            f"{folder.path} has the head of a classifier ({folder.head}); expected none",
        )
    adapted = with_adapter(model, folder.path).to(device).eval()

    def without(**inputs: Any) -> Any:
        with adapted.disable_adapter():
            return adapted(**inputs).logits

    return _logits(adapted), without
