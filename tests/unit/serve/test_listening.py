"""The socket that the service listens on, and where its address is written."""

import logging
from pathlib import Path

import pytest

from laserve.serve.listening import listen, publish, url_of


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("::", "[::1]"),  # a socket of IPv6 alone
    ],
)
def test_the_url_is_one_that_this_machine_reaches(host: str, shown: str) -> None:
    with listen(host, 0) as listener:
        assert url_of(listener) == f"http://{shown}:{listener.getsockname()[1]}"


def test_the_url_is_written_to_the_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    publish("http://127.0.0.1:9")
    publish("http://[::1]:8")
    assert (tmp_path / "laserve.url").read_text("utf-8") == "http://[::1]:8"


def test_without_a_runtime_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    publish("http://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


def test_a_runtime_folder_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "missing"))
    with caplog.at_level(logging.WARNING):
        publish("http://127.0.0.1:9")
    (record,) = caplog.records
    assert record.message == (
        f"{tmp_path / 'missing' / 'laserve.url'} cannot be written, so a health check fails: "
        "No such file or directory"
    )
