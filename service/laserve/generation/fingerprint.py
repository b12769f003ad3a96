"""What decides the candidates that a request gets, in fingerprints: the generator, and its template."""

from typing import Any

from laserve.config import GenerationSettings
from laserve.config.secrets import public
from laserve.generation.prompts import TEMPLATE
from laserve.models.fingerprint import computing, fingerprint, model_content, place

#: Options of the fake that say how fast it is.
_PACE = frozenset({"delay_s"})


def generator_fingerprint(settings: GenerationSettings) -> str | None:
    """Of the generator that the settings name; its own chat template is among the files of a model's folder.

    Sampling is not in it, since a request says that itself, nor how fast it is. It reads files.

    Returns:
        None where the model's folder cannot be read, which the generator will say itself.
    """
    told: dict[str, Any] = {"kind": settings.kind, "max_model_len": settings.max_model_len}
    match settings.kind:
        case "vllm":
            content = model_content(settings.model)
            if content is None:
                return None
            told |= {"model": content, "dtype": settings.dtype} | computing(settings.engine_args)
        case "openai":
            told |= {"model": settings.model, "url": place(settings.url or "")}
        case "fake":
            told |= {name: value for name, value in settings.engine_args.items() if name not in _PACE}
    return fingerprint(public(told))


def template_fingerprint() -> str:
    """Of the prompt around a question and its documents, the solved examples included."""
    return fingerprint(TEMPLATE)
