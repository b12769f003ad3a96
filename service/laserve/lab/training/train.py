"""``laserve train-rm``: training of a LoRA adapter with its own head, loadable as an arm."""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from laserve import __version__
from laserve.errors import ConfigError
from laserve.lab.data.rows import Group, read, shortened, split
from laserve.lab.output import write_json
from laserve.lab.progress import progress
from laserve.lab.reward_models.accuracy import Accuracy, length_only, measure
from laserve.lab.training.packing import Packed, pack, scores
from laserve.models.folders import check_model
from laserve.models.packaged import resolve
from laserve.models.tokenizer import FolderTokenizer

logger = logging.getLogger(__name__)

#: Projections that get an adapter: the four of attention, which every decoder has.
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
RECIPE = "training.json"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All parameters of a training besides the rows."""

    #: Folder or packaged name of the base model.
    base: str = "smollm2-135m-instruct"
    epochs: float = 1.0
    learning_rate: float = 2e-4
    #: Groups per step.
    batch: int = 8
    #: Rank of the adapter.
    rank: int = 16
    #: Number of last layers that get an adapter, which saves the backward pass of the others; None for all.
    layers: int | None = None
    #: Longest prompt and answer together, in tokens; longer documents lose tokens, as when serving.
    max_tokens: int = 1024
    #: Share of each file's sources, the last ones, that is held out.
    hold_out: float = 0.2
    #: Training rows used of each file, the first ones; None for all.
    rows: int | None = None
    #: Whether the right answer in a row's feedback is added as an answer.
    references: bool = True
    seed: int = 0


async def run(*, data: Sequence[Path], out: Path, cache: Path, recipe: Recipe) -> dict[str, Any]:
    """Train, measure on the held-out rows, write the adapter and a report beside it, and return the report.

    An interrupted run continues from its last checkpoint if it is started again with equal recipe and rows.

    Raises:
        ConfigError: a package is missing, the base is not a loadable model, or `out` holds the adapter of
            another run.
        InvalidRequest: a row cannot be read.
    """
    try:
        import peft  # noqa: F401
        import trl  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"train-rm needs trl and peft: {error}; pip install 'laserve[train]'") from error
    base = resolve(recipe.base, cache, logger.info)
    check_model(base, num_labels=None, setting="--base")
    _check_out(out, data, recipe)
    tokenizer = FolderTokenizer(base, setting="--base")
    train: list[Group] = []
    held: dict[str, list[Group]] = {}
    for path in data:
        given = await asyncio.to_thread(read, path)
        ours, theirs = split(given, recipe.hold_out)
        held[path.name] = shortened(theirs, None)
        if recipe.references:
            ours, _ = split(await asyncio.to_thread(read, path, references=True), recipe.hold_out)
        train += shortened(ours, recipe.rows)
    packed = await _pack(train, tokenizer, recipe.max_tokens)
    if not packed:
        raise ConfigError.at("--data", "no row has answers that differ in quality and fit into --max-tokens")
    logger.info("training on %d of %d groups", len(packed), len(train))
    model = await asyncio.to_thread(_train, base, packed, out, recipe)
    report: dict[str, Any] = {
        "recipe": asdict(recipe),
        "data": _names(data),
        "laserve": __version__,
        "training_groups": len(packed),
        "held_out": {},
    }
    for name, groups in held.items():
        # Only groups that fit are measured, so that both rows of the table are over equal groups.
        whole = [(group, one) for group in groups if (one := await pack(group, tokenizer, recipe.max_tokens))]
        if whole:
            accuracy = await asyncio.to_thread(_accuracy, model, whole)
            longer = length_only([group for group, _ in whole], train)
            report["held_out"][name] = {"accuracy": asdict(accuracy), "length_only": asdict(longer)}
    await asyncio.to_thread(_save, model, out, report)
    return report


async def _pack(groups: Sequence[Group], tokenizer: FolderTokenizer, max_tokens: int) -> list[Packed]:
    return [one for group in groups if (one := await pack(group, tokenizer, max_tokens))]


def _names(data: Sequence[Path]) -> list[str]:
    return [path.name for path in data]


def _check_out(out: Path, data: Sequence[Path], recipe: Recipe) -> None:
    """Mark the folder as that of this run; refuse the folder of another run."""
    ours = {"recipe": asdict(recipe), "data": _names(data)}
    marker = out / "run.json"
    if (out / RECIPE).exists():
        raise ConfigError.at("--out", f"{out} holds a trained adapter already; name another folder")
    if marker.exists() and json.loads(marker.read_text(encoding="utf-8")) != ours:
        raise ConfigError.at(
            "--out",
            f"{out} holds an interrupted run with another recipe or other data; "
            "repeat its options, or name another folder",
        )
    out.mkdir(parents=True, exist_ok=True)
    write_json(marker, ours)


def _train(base: str, packed: Sequence[Packed], out: Path, recipe: Recipe) -> Any:
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer, PrinterCallback
    from transformers.trainer_utils import get_last_checkpoint
    from trl import RewardConfig

    from laserve.lab.training.progress import Progress
    from laserve.lab.training.trainer import GroupRewardTrainer, as_list

    torch.manual_seed(recipe.seed)
    on_cpu = not torch.cuda.is_available()
    checkpoints = out / "checkpoints"
    trainer = GroupRewardTrainer(
        model=_adapted(base, recipe),
        args=RewardConfig(
            output_dir=str(checkpoints),
            num_train_epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=recipe.batch,
            gradient_checkpointing=False,
            center_rewards_coefficient=0.01,
            bf16=False,  # the base is in bfloat16 already, the adapter in float32
            use_cpu=on_cpu,
            dataloader_pin_memory=False,
            remove_unused_columns=False,
            max_length=None,
            logging_steps=5,
            save_steps=20,
            save_total_limit=1,
            report_to=[],
            disable_tqdm=True,
            seed=recipe.seed,
        ),
        callbacks=[Progress()],
        data_collator=as_list,
        train_dataset=Dataset.from_list([_columns(group) for group in packed]),
        processing_class=AutoTokenizer.from_pretrained(base),
    )
    trainer.remove_callback(PrinterCallback)
    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    if last:
        logger.info("going on from %s", last)
    trainer.train(resume_from_checkpoint=last)
    return trainer.model.eval()


def _columns(group: Packed) -> dict[str, Any]:
    return {
        "prompt": list(group.prompt),
        "answers": [list(answer) for answer in group.answers],
        "rewards": list(group.rewards),
    }


def _adapted(base: str, recipe: Recipe) -> Any:
    """The base as a classifier with one output, with only adapter and head trainable, in float32."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging as hub_logging

    hub_logging.set_verbosity_error()  # transformers would warn of the new head as missing
    hub_logging.disable_progress_bar()
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=1, dtype=torch.bfloat16, local_files_only=True, use_safetensors=True
    )
    depth = int(model.config.num_hidden_layers)
    first = 0 if recipe.layers is None else max(depth - recipe.layers, 0)
    adapted = get_peft_model(
        model,
        LoraConfig(
            task_type="SEQ_CLS",
            r=recipe.rank,
            lora_alpha=2 * recipe.rank,
            lora_dropout=0.0,
            target_modules=list(TARGETS),
            layers_to_transform=list(range(first, depth)) if first else None,
        ),
    )
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return adapted


def _accuracy(model: Any, groups: Sequence[tuple[Group, Packed]]) -> Accuracy:
    import torch

    scored = []
    with torch.inference_mode(), progress("measuring", len(groups)) as report:
        for group, one in groups:
            given = scores(model.get_base_model(), one.prompt, one.answers)
            scored.append((group, given.double().cpu().numpy()))
            report.advance()
    return measure(scored)


def _save(model: Any, out: Path, report: dict[str, Any]) -> None:
    """Write the adapter in bfloat16; the report is written last, as a mark of completeness."""
    import shutil

    import torch

    model.to(torch.bfloat16)
    for config in model.peft_config.values():
        config.base_model_name_or_path = report["recipe"]["base"]
        config.inference_mode = True
    model.save_pretrained(out, save_embedding_layers=False)
    (out / "README.md").unlink(missing_ok=True)
    (out / "adapter_model.safetensors").chmod(0o644)  # other users may serve the adapter
    write_json(out / RECIPE, report)
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    (out / "run.json").unlink(missing_ok=True)


def with_defaults(**options: Any) -> Recipe:
    """A recipe from options; None stands for the default."""
    return replace(Recipe(), **{name: value for name, value in options.items() if value is not None})
