"""What the generator says of a server that is not as it should be."""

from typing import Any

import httpx
import pytest

from laserve.config import GenerationSettings
from laserve.errors import LaserveError
from laserve.generation.server import OpenAIGenerator

SETTINGS = GenerationSettings(
    kind="openai", url="http://ann:hidden@host:8000/v1?token=hidden", model="m", api_key="hidden"
)


def refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"no way to {SETTINGS.url}", request=request)


@pytest.mark.parametrize(
    "answer",
    [lambda _: httpx.Response(401), lambda _: httpx.Response(500), lambda _: httpx.Response(200), refused],
)
async def test_an_error_names_the_server_and_no_secret(answer: Any) -> None:
    generator = OpenAIGenerator(SETTINGS, httpx.MockTransport(answer))
    with pytest.raises(LaserveError, match=r"http://host:8000/v1") as caught:
        await generator.start()
    assert "hidden" not in caught.value.message
    await generator.close()
