"""The metadata of the two distributions."""

import re
import tomllib
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

import laserve
import laserve_client

ROOT = Path(__file__).parents[2]
FOLDERS = {"laserve": ROOT, "laserve-client": ROOT / "clients" / "python"}


def metadata(distribution: str) -> ProjectMetadata:
    return ProjectMetadata(str(FOLDERS[distribution]), PluginManager())


@pytest.mark.parametrize("distribution", FOLDERS)
def test_the_version_is_written_in_the_service_s_package_alone(distribution: str) -> None:
    assert metadata(distribution).version == laserve.__version__
    project = tomllib.loads((FOLDERS[distribution] / "pyproject.toml").read_text("utf-8"))["project"]
    assert "version" not in project
    assert project["dynamic"] == ["version"]


def test_the_client_has_the_version_of_the_service() -> None:
    assert laserve_client.__version__ == laserve.__version__


def test_the_service_requires_the_client_of_its_version() -> None:
    assert f"laserve-client>={laserve.__version__}" in metadata("laserve").core.dependencies


def test_the_changelog_starts_with_the_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == laserve.__version__


@pytest.mark.parametrize("distribution", FOLDERS)
def test_the_links_have_the_well_known_labels_and_one_home(distribution: str) -> None:
    urls = metadata(distribution).core.urls
    assert set(urls) == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    home = metadata("laserve").core.urls["Homepage"]
    assert urls["Homepage"] == home
    assert [
        url for url in urls.values() if url != home and not url.startswith((f"{home}/", f"{home}#"))
    ] == []


@pytest.mark.parametrize("distribution", FOLDERS)
def test_the_classifiers_are_known_and_agree_with_the_other_metadata(distribution: str) -> None:
    core = metadata(distribution).core
    classifiers = core.classifiers  # an unknown one is an error of the build
    assert {classifier.split(" :: ")[0] for classifier in classifiers} >= {
        "Development Status",
        "Framework",
        "Operating System",
        "Programming Language",
        "Topic",
        "Typing",
    }
    assert not any(classifier.startswith("License ::") for classifier in classifiers)
    assert core.license_expression == "Apache-2.0"
    assert f"Programming Language :: Python :: {core.requires_python.removeprefix('>=')}" in classifiers
