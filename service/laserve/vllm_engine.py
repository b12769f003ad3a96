"""A vLLM engine of this process: AsyncLLM, with its core in a process of its own."""

import logging
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from laserve.errors import ConfigError, EngineError

logger = logging.getLogger(__name__)


class VllmEngine:
    """An engine that has been started.

    Args:
        llm: vLLM's ``AsyncLLM``.
    """

    def __init__(self, llm: Any) -> None:
        self.llm = llm

    def cause_of_death(self) -> str | None:
        """Why it cannot serve any more; None while it can."""
        if not self.llm.errored:
            return None
        manager = self.llm.engine_core.resources.engine_manager
        codes = {} if manager is None else manager.finished_procs()
        return ", ".join(f"{name} {_ending(code)}" for name, code in codes.items()) or "it reported an error"

    def stop(self) -> None:
        """Block until its processes are gone."""
        try:
            self.llm.shutdown()
        except Exception as error:  # noqa: BLE001 - a dead engine may fail to close in any way
            logger.warning("an engine did not close: %s: %s", type(error).__name__, error)


class VllmStart:
    """Starts engines from the same arguments, one at a time.

    Args:
        arguments: of vLLM's ``AsyncEngineArgs``.
        section: settings that errors name.
    """

    def __init__(self, arguments: dict[str, Any], *, section: str) -> None:
        self._arguments = arguments
        self._section = section
        self._before: set[Any] = set()

    def __call__(self) -> VllmEngine:
        """Block until an engine serves.

        Raises:
            ConfigError: vLLM refuses the arguments.
            EngineError: it did not start; vLLM's own log, on standard error, has the reason.
        """
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        self._before = set(multiprocessing.active_children())
        try:
            arguments = AsyncEngineArgs(**self._arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self._section}.engine_args: {error}") from error
        try:
            with _deaf_to_ctrl_c():
                return VllmEngine(AsyncLLM.from_engine_args(arguments))
        except ValueError as error:
            raise ConfigError(f"{self._section}: vLLM refuses these settings: {error}") from error
        except (RuntimeError, OSError) as error:
            raise EngineError(f"the engine did not start: {error}") from error

    def interrupt(self) -> None:
        """Kill what the start that runs in another thread has started, so that it fails."""
        for child in set(multiprocessing.active_children()) - self._before:
            child.kill()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started meanwhile by this thread never see SIGINT.

    Ctrl-C goes to every process of a terminal's group; an engine that heeded it could not finish the requests
    that the service still answers.
    """
    resource_tracker.ensure_running()  # started later it would undo the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
