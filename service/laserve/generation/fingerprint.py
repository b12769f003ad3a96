"""Fingerprints of the generator and of its prompt template, which decide a request's candidates."""

from typing import Any

from laserve.config import GenerationSettings
from laserve.config.secrets import public
from laserve.generation.prompts import TEMPLATE
from laserve.models.fingerprint import computing, fingerprint, model_content, server_address

#: Options of the fake that change only its speed.
_PACE = frozenset({"delay_s"})


def generator_fingerprint(settings: GenerationSettings) -> str | None:
    """Fingerprint of the generator in the settings; a model's folder includes its chat template.

    Sampling parameters, which belong to a request, and options of speed are left out. The function
    reads files.

    Returns:
        None if the model's folder cannot be read; the generator reports it when it loads.
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
    """Fingerprint of the prompt around a question and its documents, with the solved examples."""
    return fingerprint(TEMPLATE)
