"""The collection of all arms: their loading, their self-tests, and the scores of one arm."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np

from laserve.arms.arm import STATES, Arm
from laserve.arms.attempt import Attempt, Scored, reason, score_distinct, within
from laserve.arms.circuit import STATES as CIRCUIT_STATES
from laserve.arms.moments import STEADY, Moments
from laserve.errors import ArmFailed, InvalidRequest
from laserve.metrics import Metrics
from laserve.scoring.base import RewardModel
from laserve.types import Candidate, Document, Request, Sampling

logger = logging.getLogger(__name__)

#: Most seconds of the self-test at load; a model's first request may compile or warm up.
SELF_TEST_S = 60.0


class Arms:
    """The arms by name: those of the configuration, in its order, then those added at run time."""

    def __init__(self, arms: Iterable[Arm], *, metrics: Metrics) -> None:
        self._arms = {arm.name: arm for arm in arms}
        self._metrics = metrics
        self._probes: dict[str, asyncio.Task[None]] = {}

    def __iter__(self) -> Iterator[Arm]:
        return iter(self._arms.values())

    def __len__(self) -> int:
        return len(self._arms)

    @property
    def offered(self) -> tuple[str, ...]:
        """Names of the arms that are neither drained nor retired, loaded or not."""
        return tuple(arm.name for arm in self if arm.status == "enabled")

    @property
    def ready(self) -> tuple[str, ...]:
        """Names of the arms that have loaded and are enabled, which new requests may use."""
        return tuple(arm.name for arm in self if arm.usable)

    @property
    def eligible(self) -> tuple[str, ...]:
        """Names of the arms that a policy may draw now; all ready arms when no circuit admits a request."""
        admitted = tuple(name for name in self.ready if self._arms[name].circuit.admits)
        return admitted or self.ready

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the arms that score every request."""
        arms = (self._arms[name] for name in self.ready)
        return tuple(arm.name for arm in arms if arm.model.free and arm.circuit.admits)

    def get(self, name: str) -> Arm | None:
        return self._arms.get(name)

    def put(self, arm: Arm) -> None:
        """Add an arm, or replace one that no request uses."""
        self._arms[arm.name] = arm

    def check(self, name: str) -> None:
        """Raise InvalidRequest when no arm of this name is ready."""
        if name not in self.ready:
            raise InvalidRequest(f"arm: no arm {name!r}; ready are: {', '.join(self.ready)}", param="arm")

    @contextmanager
    def holding(self, names: Iterable[str]) -> Iterator[None]:
        """Keep the models of these arms loaded within the block, also when an arm is retired meanwhile."""
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(self._arms[name].held())
            yield

    async def load(self) -> None:
        """Load all arms but the retired ones, in turn; an arm that fails is logged by name and left out."""
        # Free arms load at once, and one ready arm is enough for the service to begin.
        for arm in sorted(self, key=lambda arm: not arm.model.free):
            if arm.status != "retired":
                await self.load_one(arm)

    async def load_one(self, arm: Arm, tested: Callable[[], Awaitable[None]] | None = None) -> None:
        """Load an arm and test it; its `loading` and `error` say how that ended.

        Args:
            tested: called after the test, before the arm becomes ready.
        """
        arm.loading, arm.error = "loading", None
        try:
            await within(None, arm.model.load())
            await _self_test(arm.model, SELF_TEST_S)
            if tested is not None:
                await tested()
        except Exception as error:  # noqa: BLE001 - a scorer may raise anything: it costs the arm alone
            arm.loading, arm.error = "failed", reason(error)
            logger.error("arm %s failed to load and is left out: %s", arm.name, arm.error)  # noqa: TRY400
        else:
            arm.loading = "ready"

    async def unload(self, arm: Arm) -> None:
        """Close the model of an arm that no request uses any more."""
        arm.loading, arm.error = "unloaded", None
        arm.scores = Moments()
        if (probe := self._probes.pop(arm.name, None)) is not None:
            probe.cancel()
        self.hide(arm)
        try:
            await arm.model.close()
        except Exception as error:  # noqa: BLE001 - a scorer may raise anything
            logger.warning("arm %s could not be closed: %s", arm.name, reason(error))

    def hide(self, arm: Arm) -> None:
        """Remove the metrics of an arm's present circuit and overlap."""
        for state in CIRCUIT_STATES:
            self._metrics.rm_circuit.remove(arm.name, state)
        self._metrics.rm_overlap.remove(arm.name)

    def attempt(self, name: str, request: Request) -> Attempt:
        """A new attempt of an arm at a request."""
        return Attempt(self._arms[name], request, metrics=self._metrics, on_open=self._watch)

    async def score(self, name: str, request: Request, candidates: Sequence[Candidate]) -> Scored:
        """The scores of all candidates by one arm; equal texts are scored once.

        Raises:
            ArmFailed: the arm raised, took longer than it may, gave no finite score, or its circuit is open.
        """
        return await self.attempt(name, request).result(candidates)

    def publish(self) -> None:
        """Update the metrics of the arms' states and scores, and remove those that are not true any more."""
        metrics, present = self._metrics, {arm.name: arm.state for arm in self}
        for state in STATES:
            metrics.arms.labels(state).set(list(present.values()).count(state))
            for name, current in present.items():
                metrics.arm_state.labels(name, state).set(state == current)
        for arm in self:
            if not arm.usable:
                metrics.forget_arm(arm.name)
            elif arm.scores.weight >= STEADY:
                metrics.rm_score_mean.labels(arm.name).set(arm.scores.mean)
                metrics.rm_score_sd.labels(arm.name).set(arm.scores.sd)
            else:  # those of the model before it was loaded again
                metrics.forget_moments(arm.name)

    def _watch(self, arm: Arm) -> None:
        """Start the tests of an arm whose circuit has opened."""
        probe = asyncio.create_task(self._probe(arm), name=f"probe-{arm.name}")
        self._probes[arm.name] = probe
        probe.add_done_callback(lambda done: self._forget(arm.name, done))

    def _forget(self, name: str, probe: asyncio.Task[None]) -> None:
        if self._probes.get(name) is probe:
            del self._probes[name]

    async def _probe(self, arm: Arm) -> None:
        """Test an arm whose circuit is open, again and again until it passes."""
        while True:
            await asyncio.sleep(arm.circuit.open_s)
            try:
                await _self_test(arm.model, arm.timeout_s)
            except Exception as error:  # noqa: BLE001 - a scorer may raise anything
                arm.circuit.prolong()
                why = reason(error)
                logger.warning("arm %s: circuit open for %g s more: %s", arm.name, arm.circuit.open_s, why)
            else:
                arm.circuit.passed()
                logger.info("arm %s: circuit half open, its test has passed", arm.name)
                return

    async def close(self) -> None:
        probes = list(self._probes.values())
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        for arm in self:
            if arm.loading != "unloaded":
                await arm.model.close()


async def _self_test(model: RewardModel, seconds: float) -> None:
    """Score a fixed request. Raises ArmFailed when a score is not finite, or the time is over."""
    request = Request(
        question="Who built the harbour clock?",
        documents=(Document(text="Ada Thorn built the harbour clock in 1874."),),
        sampling=Sampling(n=2, temperature=1.0, top_p=1.0, max_tokens=8),
        timeout_s=60.0,
    )
    candidates = [
        Candidate(index=index, text=text, finish_reason="stop", tokens=3, logprob=-1.0 - index)
        for index, text in enumerate(("Ada Thorn", "a boat"))
    ]
    reading = model.open(request)
    try:
        scores = await within(seconds, score_distinct(reading, candidates, needs_all=model.needs_all))
    except TimeoutError:
        raise ArmFailed(f"the self-test took longer than {seconds:g} s") from None
    finally:
        reading.close()
    if np.isnan(scores).any():
        raise ArmFailed("the self-test gave a score that is not finite")
