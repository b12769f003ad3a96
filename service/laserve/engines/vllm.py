"""A vLLM engine of this process: AsyncLLM, whose core runs in its own process."""

import gc
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from laserve.engines import cpu
from laserve.engines.orphans import MARK
from laserve.errors import ConfigError, EngineError

logger = logging.getLogger(__name__)

#: Seconds until the processes of an engine are killed; they ignore weaker signals, and have no state to save.
_STOP_S = 0.1
#: Default environment variables of every engine's processes. No process outlives this one; Python's resource
#: tracker frees the memory of a killed process, and without the filter it would warn of a leak. vLLM's log
#: goes to standard error, since standard output is for the tables of commands.
_ENVIRONMENT = {
    MARK: "1",
    "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}
#: Seconds between two checks whether a start that waits for its turn has been interrupted.
_TURN_S = 0.1


class VllmEngine:
    """An engine that has been started.

    Args:
        llm: vLLM's ``AsyncLLM``.
    """

    def __init__(self, llm: Any) -> None:
        self.llm = llm

    def cause_of_death(self) -> str | None:
        """Reason why the engine cannot serve any more; None while it can."""
        if not self.llm.errored:
            return None
        manager = self.llm.engine_core.resources.engine_manager
        codes = {} if manager is None else manager.finished_procs()
        return ", ".join(f"{name} {_ending(code)}" for name, code in codes.items()) or "it reported an error"

    def stop(self) -> None:
        """Block until the engine's processes are gone; its parts in this process stay, for `start_again`."""
        with _tolerant():
            self.llm.engine_core.shutdown(timeout=_STOP_S)

    def close(self) -> None:
        """Block until the engine is gone."""
        with _tolerant():
            self._stop_reading()
        with _tolerant():
            self.llm.shutdown(timeout=_STOP_S)
        del self.llm
        gc.collect()  # its reference cycles would report errors at the end of the interpreter

    def _stop_reading(self) -> None:
        """End the task that reads the engine's outputs, which would report an intended end as a death.

        Calls that wait for an output get an error instead. The task belongs to the event loop that made it;
        a callback left there now runs before any callback of a shutdown.
        """
        llm, handler = self.llm, self.llm.output_handler
        if handler is None or handler.get_loop().is_closed():
            return

        def end() -> None:
            handler.cancel()
            llm.output_processor.propagate_error(llm.dead_error)

        handler.get_loop().call_soon_threadsafe(end)

    def start_again(self) -> None:
        """Block until new processes serve the parts in this process.

        New parts, above all a new tokenizer, would block the event loop for half a second and reset vLLM's
        metrics to 0. The method repeats the constructor of ``AsyncLLM``, except for parts that can stay.
        """
        from vllm.v1.engine.core_client import EngineCoreClient
        from vllm.v1.engine.output_processor import OutputProcessor
        from vllm.v1.executor import Executor

        llm, config = self.llm, self.llm.vllm_config
        core = EngineCoreClient.make_async_mp_client(
            vllm_config=config,
            executor_class=Executor.get_class(config),
            log_stats=llm.log_stats,
            renderer=llm.renderer,
        )
        llm.output_processor = OutputProcessor(
            llm.renderer.tokenizer,
            log_stats=llm.log_stats,
            stream_interval=config.scheduler_config.stream_interval,
        )
        llm.engine_core = core
        llm.output_handler = None  # made by the next request


class VllmStart:
    """The start of engines with fixed arguments, one at a time.

    Args:
        arguments: arguments of vLLM's ``AsyncEngineArgs``.
        section: section of the settings that errors name.
        turn: lock that is held during a start, so that engines start one after another.
        environment: variables of the engine's processes, unless they are set already.
    """

    def __init__(
        self,
        arguments: dict[str, Any],
        *,
        section: str,
        turn: "threading.Lock | None" = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments = arguments
        self._section = section
        self._turn = turn or threading.Lock()
        self._environment = _ENVIRONMENT | dict(environment or {})
        self._interrupted = threading.Event()
        #: Child processes from before the current start; None while no start runs.
        self._before: set[Any] | None = None

    def __call__(self, dead: VllmEngine | None) -> VllmEngine:
        """Block until an engine serves: a new one, or the dead engine with new processes.

        Raises:
            ConfigError: vLLM refuses the arguments.
            EngineError: the engine did not start; vLLM's log, on standard error, has the reason.
        """
        self._interrupted.clear()
        while not self._turn.acquire(timeout=_TURN_S):
            if self._interrupted.is_set():
                raise EngineError("the engine was not started: the service is stopping")
        try:
            self._before = set(multiprocessing.active_children())
            with _inherited(cpu.environment() | self._environment):
                return self._start(dead)
        finally:
            self._before = None
            self._turn.release()

    def _start(self, dead: VllmEngine | None) -> VllmEngine:
        try:
            with _signals_blocked():
                if dead is None:
                    return self._first()
                dead.start_again()
                return dead
        except ValueError as error:
            raise ConfigError.at(self._section, f"vLLM refuses these settings: {error}") from error
        except (RuntimeError, OSError) as error:
            raise EngineError(f"the engine did not start: {error}") from error

    def _first(self) -> VllmEngine:
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        try:
            arguments = AsyncEngineArgs(**self._arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError.at(f"{self._section}.engine_args", str(error)) from error
        return VllmEngine(AsyncLLM.from_engine_args(arguments))

    def interrupt(self) -> None:
        """Make the start in another thread fail: kill its processes, or end its wait for its turn."""
        self._interrupted.set()
        before = self._before
        if before is not None:
            for child in set(multiprocessing.active_children()) - before:
                child.kill()


@contextmanager
def _tolerant() -> Iterator[None]:
    """A context that logs errors: a dead engine may fail to close in any way."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - logged; the next engine does not depend on it
        logger.warning("an engine did not close: %s: %s", type(error).__name__, error)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """A context in which this thread starts processes that never receive SIGINT and SIGTERM.

    Ctrl-C goes to every process of a terminal's group, and systemd's SIGTERM to every process of a service;
    an engine that obeyed them could not finish the requests that the service still answers.
    """
    resource_tracker.ensure_running()  # a later start would undo the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _inherited(environment: Mapping[str, str]) -> Iterator[None]:
    """A context in which new processes get these variables, unless they are set already."""
    added = {name: value for name, value in environment.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
