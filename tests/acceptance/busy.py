"""Requests that take their time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from acceptance.wire import Service, until

#: Seconds that the arm `slow` of the server `narrow` takes.
SLOW_S = 2.0
#: Seconds that the server `unhurried` takes for each candidate.
EACH_S = 0.3


@contextmanager
def busy(narrow: Service) -> Iterator[None]:
    """One request of `narrow` is under way while the block runs, and is answered when it ends."""
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=narrow.server.url, timeout=60) as client:
            statuses.append(client.post("/generate", json={"prompt": "a", "arm": "slow"}).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        until(lambda: narrow.sample("laserve_permits_in_use") == 1)
        yield
    finally:
        thread.join()
    assert statuses == [200]
