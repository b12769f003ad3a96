"""The stages of a request, with an arm that reads prompts ahead."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from builders import StubModel, make_arm, make_request, make_sampling
from laserve.arms.arm import make_arm as make_from
from laserve.arms.overlap import TRIALS, Overlap
from laserve.config import ArmSettings
from laserve.config import load as load_settings
from laserve.errors import ArmFailed, Unscorable
from laserve.metrics import Metrics
from laserve.serve.lifespan import load, running
from laserve.serve.wiring import make_service
from laserve.service import Service
from laserve.types import Candidate, Decision, Request

REQUEST = make_request(sampling=make_sampling(n=4), arm="ahead", timeout_s=30.0)


class Ahead(StubModel):
    """Scores a text by its length, and records each call."""

    def __init__(self, *, truncated: bool = False, error: Exception | None = None) -> None:
        super().__init__()
        self.cut = truncated
        self.error = error
        self.prefilled: list[Request] = []
        self.requests: list[Request] = []

    async def prefill(self, request: Request) -> None:
        self.prefilled.append(request)

    def truncated(self, request: Request) -> bool:
        return self.cut

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
        self.requests.append(request)
        self.asked.append([candidate.text for candidate in candidates])
        if self.error is not None:
            raise self.error
        return [float(len(candidate.text)) for candidate in candidates]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """The fake service with `relevance` as an arm named `ahead`."""
    flags = {"arms": [{"name": "ahead", "kind": "relevance"}, {"name": "loglik", "kind": "loglik"}]}
    made = make_service(load_settings(profile="fake", flags=flags))
    async with running(made):
        await load(made)
        yield made


def put(
    service: Service, model: Ahead, mode: Any, on_change: Callable[[bool], None] = lambda on: None
) -> Ahead:
    service.arms.put(make_arm("ahead", model, overlap=Overlap(mode, on_change)))
    return model


async def answered(service: Service, request: Request = REQUEST) -> Decision:
    async for step in service.answerer.answer(request, key=""):
        if isinstance(step, Decision):
            return step
    raise AssertionError("no decision")


def value(service: Service, name: str, **labels: str) -> float:
    return service.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(("mode", "calls"), [("on", True), ("off", False)])
async def test_the_drawn_arm_reads_ahead_where_it_overlaps(service: Service, mode: str, calls: bool) -> None:
    model = put(service, Ahead(), mode)
    decision = await answered(service)
    assert (model.prefilled == [REQUEST]) == calls
    assert all(asked is REQUEST for asked in model.requests)
    distinct = {candidate.text for candidate in decision.candidates}
    assert sorted(text for texts in model.asked for text in texts) == sorted(distinct)
    assert len(model.asked) == (len(distinct) if calls else 1)
    assert decision.scores["ahead"] == tuple(float(len(c.text)) for c in decision.candidates)
    assert "loglik" in decision.scores


async def test_another_arm_is_not_asked_ahead(service: Service) -> None:
    model = put(service, Ahead(), "on")
    await answered(service, make_request(arm="loglik"))
    assert (model.prefilled, model.asked) == ([], [])


async def test_a_candidate_is_scored_before_the_next_one_is_there(service: Service) -> None:
    model = put(service, Ahead(), "on")
    seen = []
    async for step in service.answerer.answer(REQUEST, key=""):
        if isinstance(step, Candidate):
            await asyncio.sleep(0.01)
            seen.append(len(model.asked))
    assert seen[0] == 1


@pytest.mark.parametrize("mode", ["on", "off"])
@pytest.mark.parametrize("error", [ArmFailed("out of memory"), Unscorable("9 tokens too long")])
async def test_an_arm_that_fails_ahead_is_replaced(service: Service, mode: str, error: ArmFailed) -> None:
    put(service, Ahead(error=error), mode)
    decision = await answered(service)
    assert (decision.arm, decision.scored_by) == ("ahead", "loglik")
    assert decision.degraded == (f"arm_failed: ahead: {error.message}",)
    assert value(service, "laserve_rm_failed_total", arm="ahead") == 1


@pytest.mark.parametrize("mode", ["on", "off"])
@pytest.mark.parametrize("cut", [True, False])
async def test_the_answer_tells_that_documents_were_cut_for_the_arm(
    service: Service, mode: str, cut: bool
) -> None:
    put(service, Ahead(truncated=cut), mode)
    decision = await answered(service)
    assert (decision.truncated, decision.degraded) == (cut, ())
    assert value(service, "laserve_rm_truncated_total", arm="ahead") == cut
    assert value(service, "laserve_truncated_total") == cut


async def test_a_client_that_leaves_takes_along_what_was_read_ahead(service: Service) -> None:
    class Stuck(Ahead):
        async def prefill(self, request: Request) -> None:
            await asyncio.Event().wait()

        async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
            await asyncio.Event().wait()

    before = asyncio.all_tasks()
    put(service, Stuck(), "on")
    steps = service.answerer.answer(REQUEST, key="")
    async for step in steps:
        if isinstance(step, Candidate):
            break
    arm = service.arms.get("ahead")
    assert arm is not None
    assert arm.requests == 1
    await steps.aclose()  # type: ignore[attr-defined]
    assert (arm.requests, arm.circuit.state) == (0, "closed")
    async with asyncio.timeout(10):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.001)
    assert service.arms.eligible == ("ahead", "loglik")


async def test_auto_measures_on_live_requests_and_the_metric_tells(service: Service) -> None:
    class Timed(Overlap):
        """Real requests, but seconds that no busy machine changes: reading ahead is slower."""

        def learn(self, overlapped: bool, *, seconds: float, tokens: int) -> None:
            assert seconds > 0
            assert tokens > 0
            super().learn(overlapped, seconds=2.0 if overlapped else 1.0, tokens=100)

    states: list[bool] = []
    model = Ahead()
    service.arms.put(make_arm("ahead", model, overlap=Timed("auto", states.append)))
    for _ in range(2 * TRIALS):
        await answered(service, make_request(arm="ahead", sampling=make_sampling(n=2)))
    assert len(model.prefilled) == TRIALS
    assert states == [False]


@pytest.mark.parametrize(("model", "kind", "on"), [("stub", "relevance", 0.0), ("ahead", "fake", 1.0)])
def test_the_metric_says_which_arms_overlap(
    monkeypatch: pytest.MonkeyPatch, model: str, kind: str, on: float
) -> None:
    metrics = Metrics()
    made = Ahead() if model == "ahead" else StubModel()
    monkeypatch.setattr("laserve.scoring.registry.create", lambda *_: made)
    arm = make_from(ArmSettings(name="one", kind=kind, overlap="on"), {}, metrics)
    assert metrics.registry.get_sample_value("laserve_rm_overlap", {"arm": "one"}) == on
    assert arm.overlap.on == bool(on)
