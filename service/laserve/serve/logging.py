"""Log lines for people or for machines, on standard error; they never contain prompts, answers or secrets."""

import json
import logging
import sys
import time
from typing import ClassVar


class JsonLines(logging.Formatter):
    """A formatter of one JSON object per line: time, level, logger, message."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """A formatter of text lines: ``12:00:00 info     laserve.serve.wiring: message``."""

    _FORMAT: ClassVar = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"

    def __init__(self) -> None:
        super().__init__(self._FORMAT, datefmt="%H:%M:%S")


def configure(*, level: str, style: str) -> None:
    """Send records of at least `level` to standard error.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        style: ``text`` or ``json``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for verbose in (
        "httpx",
        "httpcore",
        "alembic",
        "aiosqlite",
        "filelock",
        "asyncio",
        "sse_starlette",
        "uvicorn",
        "vllm",
    ):
        logging.getLogger(verbose).setLevel(logging.WARNING)
