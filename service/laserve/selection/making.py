"""From an arm's settings to the arm, which has not loaded yet."""

from collections.abc import Mapping
from typing import Any

from laserve.config import ArmSettings
from laserve.metrics import Metrics
from laserve.scoring import registry
from laserve.scoring.base import Prefilling
from laserve.selection.arm import Arm
from laserve.selection.circuit import STATES, Circuit, CircuitState
from laserve.selection.overlap import Overlap


def make_arm(settings: ArmSettings, shared: Mapping[str, Any], metrics: Metrics) -> Arm:
    """Make an arm; its metrics begin with it.

    Args:
        shared: parts of the service that a kind may ask for by name.

    Raises:
        ConfigError: the kind or an option is unknown, or refused; the message begins with its name.
    """
    name = settings.name
    model = registry.create(settings.kind, settings.options, shared)

    def publish(current: CircuitState) -> None:
        for state in STATES:
            metrics.rm_circuit.labels(name, state).set(state == current)

    ahead = isinstance(model, Prefilling) and not model.free
    return Arm(
        name=name,
        model=model,
        timeout_s=settings.timeout_s,
        circuit=Circuit(failures=settings.circuit_failures, open_s=settings.circuit_open_s, changed=publish),
        overlap=Overlap(settings.overlap if ahead else "off", changed=metrics.rm_overlap.labels(name).set),
    )
