"""One study for all tests of the report."""

from typing import Any

import pytest

from laserve.lab.report.figures import figures as all_figures
from laserve.lab.report.study import Study, run
from report_pools import make_plan, make_report_pool


@pytest.fixture(scope="session")
def study() -> Study:
    return run(make_report_pool(), make_plan())


@pytest.fixture(scope="session")
def figures(study: Study) -> dict[str, Any]:
    return all_figures(study)
