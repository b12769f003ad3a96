"""What the Dockerfile says, without a build; tests/integration/test_image.py builds it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import laserve

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
IGNORED = (ROOT / ".dockerignore").read_text("utf-8").splitlines()


def instructions(name: str) -> list[str]:
    """The arguments of each instruction of a kind, on one line."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return re.findall(rf"^{name} (.+)$", joined, re.MULTILINE)


def sources() -> set[str]:
    """Paths of the repository that are copied into the build."""
    copies = [line.split() for line in instructions("COPY") if not line.startswith("--from")]
    return {source for words in copies for source in words[:-1]}


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_pinned_by_a_tag_and_is_the_build_s_argument() -> None:
    assert instructions("ARG")[0] == "BASE=python:3.11-slim-bookworm"
    assert [line.split()[0] for line in instructions("FROM")] == ["${BASE}", "${BASE}"]


@pytest.mark.parametrize(("argument", "variable"), [("TORCH", "TORCH :="), ("TORCH_INDEX", "TORCH_INDEX ?=")])
def test_pytorch_is_the_one_of_the_makefile(argument: str, variable: str) -> None:
    (line,) = re.findall(rf"^{re.escape(variable)} (\S+)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert f"{argument}={line}" in instructions("ARG")


def test_the_label_has_the_version_of_the_package() -> None:
    assert f'org.opencontainers.image.version="{laserve.__version__}"' in DOCKERFILE


def test_commands_have_the_exec_form_so_that_signals_reach_the_service() -> None:
    assert instructions("ENTRYPOINT") == ['["/opt/laserve/bin/laserve"]']
    assert instructions("CMD") == ['["serve"]']
    (check,) = instructions("HEALTHCHECK")
    assert check.endswith('CMD ["/opt/laserve/bin/python", "/opt/laserve/healthcheck.py"]')


def test_the_user_is_a_number_which_a_cluster_can_see_is_not_root() -> None:
    assert instructions("USER") == ["10001:10001"]


def test_the_build_sees_what_is_copied_and_nothing_else() -> None:
    assert "*" in IGNORED
    seen = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    assert {path for path in seen if not (ROOT / path).exists()} == set()
    for source in sources():
        assert any(path == source or path.startswith(f"{source}/") for path in seen), source
    for path in seen:
        assert any(path == source or path.startswith(f"{source}/") for source in sources()), path
