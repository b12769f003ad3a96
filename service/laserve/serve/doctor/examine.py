"""The examination of a configuration on a machine, without starting anything."""

from laserve.config import Settings
from laserve.serve.doctor.caches import check_caches
from laserve.serve.doctor.folders import check_folders
from laserve.serve.doctor.limits import check_disk, check_limits
from laserve.serve.doctor.machine import Machine
from laserve.serve.doctor.models import check_models, prepares
from laserve.serve.doctor.needs import needs
from laserve.serve.doctor.report import Report
from laserve.serve.doctor.software import check_software
from laserve.serve.wiring import check_settings


def examine(settings: Settings, machine: Machine | None = None) -> Report:
    """Examine a configuration; no model is loaded, and nothing is written.

    Args:
        machine: the machine to examine it on; by default this one.

    Raises:
        ConfigError: a setting names a part that does not exist, as at a start.
    """
    check_settings(settings)
    machine = machine or Machine.read()
    parts = needs(settings, machine)
    findings = [
        *check_limits(settings, machine, parts),
        *check_software(settings, machine),
        *check_models(settings),
        *check_caches(settings),
        *check_folders(settings, prepares=prepares(settings)),
        *check_disk(settings),
    ]
    return Report(needs=parts, machine=machine, findings=findings)
