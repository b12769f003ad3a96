"""Fingerprints of what decides a request's candidates: the generator, and the template of its prompts."""

from typing import Any

from laserve.config import GenerationSettings
from laserve.config.secrets import public
from laserve.generation.prompts import TEMPLATE
from laserve.models.fingerprint import computing, fingerprint, model_content, server_address

#: Options of the fake that say how fast it is.
_PACE = frozenset({"delay_s"})


def generator_fingerprint(settings: GenerationSettings) -> str | None:
    """Of the generator that the settings name; its own chat template is among the files of a model's folder.

    Sampling is not in it, since a request says that itself, nor how fast it is. It reads files.

    Returns:
        None where the model's folder cannot be read, which the generator will say itself.
    """
    parts: dict[str, Any] = {"kind": settings.kind, "max_model_len": settings.max_model_len}
    match settings.kind:
        case "vllm":
            content = model_content(settings.model)
            if content is None:
                return None
            parts |= {"model": content, "dtype": settings.dtype} | computing(settings.engine_args)
        case "openai":
            parts |= {"model": settings.model, "url": server_address(settings.url or "")}
        case "fake":
            parts |= {name: value for name, value in settings.engine_args.items() if name not in _PACE}
    return fingerprint(public(parts))


def template_fingerprint() -> str:
    """Of the prompt around a question and its documents, the solved examples included."""
    return fingerprint(TEMPLATE)
