"""The provision of the models that the settings name: prepared from packages, or fetched from a hub."""

from collections.abc import Callable, Iterator
from pathlib import Path

from laserve.config import Settings
from laserve.errors import ConfigError
from laserve.models import hub
from laserve.models.packaged import prepare
from laserve.serve.references import references


def provide(
    settings: Settings, *, download: bool, report: Callable[[str], None]
) -> Iterator[tuple[str, Path]]:
    """Prepare the packaged models, fetch those of a hub, and give each model's name and folder.

    Args:
        download: whether to fetch models of a hub; otherwise those that are not in the cache are missing.
        report: takes lines about the progress.

    Raises:
        ConfigError: models are missing, after all others were given, or one cannot be prepared or fetched.
    """
    cache, missing = settings.cache_dir.expanduser(), []
    for model in {(each.name, each.revision, each.weights): each for each in references(settings)}.values():
        if model.packaged:
            yield model.name, prepare(model.name, cache, report)
        elif (folder := model.folder(cache)) is not None:
            yield model.name, folder
        elif not model.on_hub:
            missing.append(ConfigError.at(model.setting, f"there is no folder {model.name}"))
        elif download:
            yield (
                model.name,
                hub.download(
                    model.name, model.revision, weights=model.weights, setting=model.setting, report=report
                ),
            )
        else:
            missing.append(hub.absent(model.name, model.revision, setting=model.setting))
    if missing:
        raise ConfigError("\n".join(error.message for error in missing), param=missing[0].param)
