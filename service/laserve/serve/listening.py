"""The socket that the service listens on."""

import socket

from laserve.errors import ConfigError


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
