"""The check that the KV cache of an engine holds the longest text, without which it does not start."""

from collections.abc import Iterator

from laserve.config import Settings
from laserve.engines import kv_cache
from laserve.errors import ConfigError
from laserve.serve.doctor.engines import engines
from laserve.serve.doctor.report import Finding
from laserve.serve.doctor.software import gpu_build
from laserve.serve.wiring import expected_requests


def check_caches(settings: Settings) -> Iterator[Finding]:
    """Findings on the caches whose size is known, by the check of a start.

    A generator's cache on a GPU has a size that vLLM chooses, unless the settings say one.
    """
    for engine in engines(settings):
        if gpu_build() and engine.arguments.get("kv_cache_memory_bytes") is None:
            continue
        try:
            kv_cache.with_size(engine.arguments, expected=expected_requests(settings), section=engine.section)
        except ConfigError as error:
            above = engine.setting.removesuffix(engine.section)
            # The other arms serve without the one whose engine does not start.
            fatal = engine.generates or len(settings.arms) == 1
            yield Finding(
                check="kv cache",
                status="error" if fatal else "warning",
                fact=f"{above}{error.message}",
                remedy=f"make the cache larger, or {engine.setting}.max_model_len lower",
            )
