"""The findings of the doctor, as values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from laserve.serve.doctor.machine import Machine

Status = Literal["ok", "warning", "error"]
Resource = Literal["memory", "gpu memory", "disk"]
GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check; an error would stop the start."""

    #: What was checked.
    check: str
    status: Status
    #: What is the case.
    fact: str
    #: What to do about it; empty if nothing has to be done.
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one part of the service needs of a resource."""

    part: str
    resource: Resource
    #: Number of bytes; None if it cannot be known.
    bytes: int | None
    #: How the number comes about.
    how: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that the doctor says about a configuration on a machine."""

    needs: Sequence[Part]
    machine: Machine
    findings: Sequence[Finding]

    @property
    def status(self) -> Status:
        """The worst status of a finding."""
        found = {finding.status for finding in self.findings}
        return "error" if "error" in found else "warning" if "warning" in found else "ok"

    def to_json(self) -> dict[str, Any]:
        """Keys: ``status``, ``machine``, ``needs``, ``totals`` (bytes by resource), ``checks``."""
        resources = dict.fromkeys(part.resource for part in self.needs)
        return {
            "status": self.status,
            "machine": self.machine.to_json(),
            "needs": [asdict(part) for part in self.needs],
            "totals": {resource: total(self.needs, resource) for resource in resources},
            "checks": [asdict(finding) for finding in self.findings],
        }


def total(needs: Sequence[Part], resource: Resource) -> int:
    """Bytes of a resource that all parts need together, without those that are unknown."""
    return sum(part.bytes or 0 for part in needs if part.resource == resource)


def gib(size: float) -> str:
    """A size in GiB, or in MiB where it is small."""
    return f"{size / GIB:.3g} GiB" if size >= GIB / 2 else f"{size / 2**20:.3g} MiB"
