"""The socket that the service listens on, and its address for people and for health checks."""

import logging
import os
import socket
from pathlib import Path

from laserve.errors import ConfigError

logger = logging.getLogger(__name__)

#: An address of this machine in place of all of a family.
_ONE_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - replaced, not bound


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket; port 0 is any free one.

    Raises:
        ConfigError: the address is in use, or this machine does not have it.
    """
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise ConfigError(
            f"server.host, server.port: cannot listen on {host}:{port}: {error.strerror}",
            param="server.port",
        ) from error
    # asyncio sets the option only on its own sockets; without it a small answer waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL at which this machine reaches a socket."""
    host, port = listener.getsockname()[:2]
    host = _ONE_OF.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def publish(url: str) -> None:
    """The file ``laserve.url``, written with the URL in the folder of the variable ``RUNTIME_DIRECTORY``.

    Without the variable nothing is written. The image sets it, for its health check; systemd does for units
    with ``RuntimeDirectory=``.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY")
    if not folder:
        return
    file = Path(folder, "laserve.url")
    try:
        file.write_text(url, encoding="utf-8")
    except OSError as error:
        logger.warning("%s cannot be written, so a health check fails: %s", file, error.strerror)
