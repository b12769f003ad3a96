"""Programs of the system that the tests use."""

from pathlib import Path

import pytest

import system


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(system, "PATH", str(tmp_path))
    return tmp_path


def test_every_package_whose_program_is_not_there_is_missing_once(empty: Path) -> None:
    assert system.missing() == ["buildah", "chromium", "mmdebstrap", "prometheus", "systemd"]


def test_a_program_that_is_not_there_is_an_error_that_says_what_to_install(empty: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`promtool`: install prometheus"):
        system.find("promtool")


def test_a_program_is_found_on_the_path(empty: Path) -> None:
    (empty / "promtool").write_text("#!/bin/sh\n")
    (empty / "promtool").chmod(0o755)
    assert system.find("promtool") == str(empty / "promtool")
