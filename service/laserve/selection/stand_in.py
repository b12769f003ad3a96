"""In place of an arm's model that could not be made, or is not wanted now."""

from collections.abc import Sequence

from laserve.errors import ArmFailed
from laserve.selection.arm import Arm
from laserve.selection.circuit import Circuit
from laserve.types import Candidate, Request, Vector


class StandIn:
    """Fails to load, and says why.

    Args:
        kind: of the model that it stands for.
    """

    free = False
    needs_all = False

    def __init__(self, kind: str, why: str) -> None:
        self.kind = kind
        self._why = why

    async def load(self) -> None:
        raise ArmFailed(self._why)

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        raise ArmFailed(self._why)

    async def close(self) -> None: ...


def stand_in(name: str, kind: str, why: str) -> Arm:
    """An arm of which there is nothing but its name."""
    circuit = Circuit(failures=1, open_s=1.0, changed=lambda state: None)
    return Arm(name=name, model=StandIn(kind, why), timeout_s=1.0, circuit=circuit)
