"""The documents that a move of modules must leave as they are, to the byte."""

import asyncio
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import httpx
import numpy as np
from click.testing import CliRunner
from safetensors.numpy import save_file

from nets.parts import (
    Features,
    GenerationSettings,
    Settings,
    arm_fingerprint,
    create_app,
    generator_fingerprint,
    load_settings,
    main,
    make_service,
    template_fingerprint,
)

FOLDER = Path(__file__).parents[1] / "golden"
#: Columns of the help texts.
_WIDTH = 100


def openapi() -> str:
    """The OpenAPI document of the fake profile. A release alone does not change it: it has no version."""
    document = create_app(make_service(load_settings(profile="fake"))).openapi()
    document["info"]["version"] = "VERSION"
    return _json(document)


def metrics() -> str:
    """The lines of ``GET /metrics`` that describe the metrics of laserve, in their order."""
    app = create_app(make_service(load_settings(profile="fake")))

    async def read() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://golden") as client:
            return (await client.get("/metrics")).raise_for_status().text

    lines = re.findall(r"^# (?:HELP|TYPE) laserve_.*$", asyncio.run(read()), re.MULTILINE)
    return "".join(f"{line}\n" for line in lines)


def commands() -> str:
    """The ``--help`` of every command, its subcommands behind it."""
    runner = CliRunner(env={"COLUMNS": str(_WIDTH), "LC_ALL": "C.UTF-8"})
    texts = []
    for path in _paths(main):
        done = runner.invoke(main, [*path, "--help"], prog_name="laserve", terminal_width=_WIDTH)
        if done.exit_code:
            raise RuntimeError(f"{' '.join(path)} --help: status {done.exit_code}: {done.output}")
        texts.append(f"$ {' '.join(('laserve', *path, '--help'))}\n{done.output}")
    return "\n".join(texts)


def settings() -> str:
    """The JSON schema of the settings, with their defaults."""
    return _json(Settings.model_json_schema())


def fingerprints() -> str:
    """Fingerprints of the context features, and of generators and arms of every kind."""
    with tempfile.TemporaryDirectory() as folder:
        model, adapter = _model(Path(folder) / "model"), _adapter(Path(folder) / "adapter")
        return _json(
            {
                "features": Features.read().fingerprint,
                "template": template_fingerprint(),
                "generators": {
                    name: generator_fingerprint(GenerationSettings(**given))
                    for name, given in _generators(model).items()
                },
                "arms": {
                    name: arm_fingerprint(kind, options)
                    for name, (kind, options) in _arms(model, adapter).items()
                },
            }
        )


#: File -> what it holds by the present code.
DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "openapi.json": openapi,
    "metrics.txt": metrics,
    "commands.txt": commands,
    "settings.json": settings,
    "fingerprints.json": fingerprints,
}


def renew() -> list[str]:
    """Write the documents of the present code; the names of those that have changed."""
    changed = []
    for name, make in DOCUMENTS.items():
        path, text = FOLDER / name, make()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return changed


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _paths(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _paths(command.commands[name], (*path, name))


def _generators(model: str) -> dict[str, dict[str, Any]]:
    return {
        "the default": {},
        "vllm, float32": {"dtype": "float32", "engine_args": {"quantization": "awq", "max_num_seqs": 4}},
        "vllm, a folder": {"model": model, "max_model_len": 512},
        "openai": {"kind": "openai", "model": "m", "url": "https://user:key@Host:8000/v1/", "api_key": "key"},
        "fake": {"kind": "fake", "model": "fake"},
        "fake, salted": {"kind": "fake", "model": "fake", "engine_args": {"salt": "a", "delay_s": 0.1}},
    }


def _arms(model: str, adapter: str) -> dict[str, tuple[str, dict[str, Any]]]:
    url = "https://user:key@Host:8000/v1/"
    return {
        "loglik": ("loglik", {}),
        "consensus": ("consensus", {}),
        "relevance": ("relevance", {}),
        "relevance, window": ("relevance", {"window_words": 200}),
        "blend": ("blend", {}),
        "fake": ("fake", {}),
        "fake, salted": ("fake", {"salt": "a", "delay_s": 0.1}),
        "vllm, a packaged adapter": ("vllm", {"adapter": "grounded"}),
        "vllm, an adapter's folder": ("vllm", {"adapter": adapter, "engine_args": {"dtype": "float32"}}),
        "vllm, a folder": ("vllm", {"model": model, "max_model_len": 512}),
        "transformers, a folder": ("transformers", {"model": model, "device": "cpu"}),
        "implicit, a folder": ("implicit", {"model": model, "adapter": adapter, "beta": 0.5}),
        "attributes, a folder": ("attributes", {"model": model, "attributes": ["helpful", "brief"]}),
        "remote": ("remote", {"url": url, "model": "m", "api_key": "key"}),
        "judge": ("judge", {"url": url, "scale": [1, 5], "concurrency": 2}),
        "a kind that is not there": ("unheard", {}),
    }


def _model(folder: Path) -> str:
    folder.mkdir()
    save_file({"w": np.arange(16, dtype=np.float32).reshape(4, 4)}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "README.md").write_text("No loader reads this file.")
    return str(folder)


def _adapter(folder: Path) -> str:
    folder.mkdir()
    save_file({"w": np.ones((2, 2), dtype=np.float32)}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"r": 2}')
    return str(folder)
