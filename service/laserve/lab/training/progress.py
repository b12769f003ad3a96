"""Progress of a training as log lines, and its end ahead of time."""

import logging
import threading
import time
from typing import Any

from transformers import TrainerCallback

logger = logging.getLogger(__name__)


class Progress(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """A line for every `logging_steps`: step, loss, accuracy on the latest rows, and remaining time."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began, self._first = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return
        done = max(state.global_step - self._first, 1)
        left_s = (time.monotonic() - self._began) / done * (state.max_steps - state.global_step)
        logger.info(
            "step %d of %d: loss %.3f, accuracy %.3f, %.0f min left",
            state.global_step,
            state.max_steps,
            float(logs["loss"]),
            float(logs.get("accuracy", float("nan"))),
            left_s / 60,
        )


class Stopping(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """The end of a training after the step in which the event is set, with a checkpoint."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._stop.is_set():
            control.should_save = control.should_training_stop = True
