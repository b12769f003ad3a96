"""``laserve train-rm``: training of a LoRA adapter with its own head, loadable as an arm."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from laserve import __version__
from laserve.errors import ConfigError
from laserve.lab.data.row import Row
from laserve.lab.output import write_json
from laserve.lab.progress import progress
from laserve.lab.reward_models.accuracy import Accuracy, length_only, measure
from laserve.lab.training.folder import (
    OPTION,
    REPORT,
    adapter,
    check_free,
    checkpoints,
    last_checkpoint,
    working,
)
from laserve.lab.training.packing import Packed, digest, pack, scores
from laserve.lab.training.rows import TrainingRows, training_rows
from laserve.models.folders import check_model
from laserve.models.packaged import resolve
from laserve.models.tokenizer import FolderTokenizer

logger = logging.getLogger(__name__)

#: Projections that get an adapter: the four of attention, which every decoder has.
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All parameters of a training besides the rows."""

    #: Folder or packaged name of the base model.
    base: str = "smollm2-135m-instruct"
    epochs: float = 1.0
    learning_rate: float = 2e-4
    #: Rows per step.
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
    #: Whether the right answer of a row is added as an answer.
    references: bool = True
    seed: int = 0


async def run(
    *, data: Sequence[Path], out: Path, cache: Path, recipe: Recipe, strict: bool = False
) -> dict[str, Any]:
    """Train, measure on the held-out rows, write the adapter and a report beside it, and return the report.

    `out` is complete or absent. An interrupted run goes on from its last checkpoint if it is started again
    with equal recipe and rows; if it is cancelled, it ends after its step, with a checkpoint.

    Args:
        strict: whether a record that cannot be read is an error.

    Raises:
        ConfigError: a package is missing, the base is not a loadable model, no row can be learned from, or
            `out` cannot be made.
        InvalidRequest: a file cannot be read.
    """
    try:
        import peft  # noqa: F401
        import trl  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"train-rm needs trl and peft: {error}; pip install 'laserve[train]'") from error
    check_free(out)
    base = resolve(recipe.base, cache, logger.info, setting="--base")
    check_model(base, num_labels=None, setting="--base")
    tokenizer = FolderTokenizer(base, setting="--base")
    rows = await asyncio.to_thread(
        training_rows,
        data,
        hold_out=recipe.hold_out,
        count=recipe.rows,
        references=recipe.references,
        strict=strict,
    )
    packed = await _pack(rows.train, tokenizer, recipe.max_tokens)
    if not packed:
        raise ConfigError.at("--max-tokens", f"none of {len(rows.train)} rows fits into {recipe.max_tokens}")
    logger.info(
        "training on %d rows; %d do not fit into --max-tokens", len(packed), len(rows.train) - len(packed)
    )
    report: dict[str, Any] = {
        "recipe": asdict(recipe),
        "data": list(rows.held),
        "laserve": __version__,
        "training_groups": len(packed),
    }
    with working(out, {"recipe": asdict(recipe), "rows": digest(packed)}) as work:
        model = await _stoppable(base, packed, work, recipe)
        report["held_out"] = await _measured(model, rows, tokenizer, recipe.max_tokens)
        await asyncio.to_thread(_save, model, adapter(work), report)
    return report


async def _pack(rows: Sequence[Row], tokenizer: FolderTokenizer, max_tokens: int) -> list[Packed]:
    return [one for row in rows if (one := await pack(row, tokenizer, max_tokens))]


async def _measured(
    model: Any, rows: TrainingRows, tokenizer: FolderTokenizer, max_tokens: int
) -> dict[str, Any]:
    """Label of a file -> accuracies on its held-out rows, of the model and of length alone."""
    figures: dict[str, Any] = {}
    for name, held in rows.held.items():
        # Only rows that fit are measured, so that both figures are over equal rows.
        whole = [(row, one) for row in held if (one := await pack(row, tokenizer, max_tokens))]
        if whole:
            accuracy = await asyncio.to_thread(_accuracy, model, whole)
            longer = length_only([row for row, _ in whole], rows.train)
            figures[name] = {"accuracy": asdict(accuracy), "length_only": asdict(longer)}
    return figures


async def _stoppable(base: str, packed: Sequence[Packed], work: Path, recipe: Recipe) -> Any:
    """The trained model; if this is cancelled, the training ends after its step, with a checkpoint."""
    stop = threading.Event()
    training = asyncio.create_task(asyncio.to_thread(_train, base, packed, work, recipe, stop))
    try:
        return await asyncio.shield(training)
    except asyncio.CancelledError:
        logger.warning("interrupted; the training ends with its step")
        stop.set()
        await training
        raise


def _train(base: str, packed: Sequence[Packed], work: Path, recipe: Recipe, stop: threading.Event) -> Any:
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer, PrinterCallback
    from trl import RewardConfig

    from laserve.lab.training.progress import Progress, Stopping
    from laserve.lab.training.trainer import GroupRewardTrainer, as_list

    torch.manual_seed(recipe.seed)
    on_cpu = not torch.cuda.is_available()
    trainer = GroupRewardTrainer(
        model=_adapted(base, recipe),
        args=RewardConfig(
            output_dir=str(checkpoints(work)),
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
        callbacks=[Progress(), Stopping(stop)],
        data_collator=as_list,
        train_dataset=Dataset.from_list([_columns(group) for group in packed]),
        processing_class=AutoTokenizer.from_pretrained(base),
    )
    trainer.remove_callback(PrinterCallback)
    last = last_checkpoint(work)
    if last:
        logger.info("going on from %s", last)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
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


def _accuracy(model: Any, rows: Sequence[tuple[Row, Packed]]) -> Accuracy:
    import torch

    scored = []
    with torch.inference_mode(), progress("measuring", len(rows)) as report:
        for row, one in rows:
            given = scores(model.get_base_model(), one.prompt, one.answers)
            scored.append((row, given.double().cpu().numpy()))
            report.advance()
    return measure(scored)


def _save(model: Any, folder: Path, report: dict[str, Any]) -> None:
    """Write the adapter in bfloat16, and the report."""
    import torch

    model.to(torch.bfloat16)
    for config in model.peft_config.values():
        config.base_model_name_or_path = report["recipe"]["base"]
        config.inference_mode = True
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "adapter_model.safetensors").chmod(0o644)  # other users may serve the adapter
    write_json(folder / REPORT, report, OPTION)


def with_defaults(**options: Any) -> Recipe:
    """A recipe from options; None stands for the default."""
    return replace(Recipe(), **{name: value for name, value in options.items() if value is not None})
