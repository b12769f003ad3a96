"""A reward model's engine that dies costs its arms, until it is back; the generator and other arms go on."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

import tiny
from acceptance.wire import Service, until
from contract.reward_models import save_adapter
from integration.test_engine_death import descendants, lives
from processes import serving

pytestmark = pytest.mark.engine

#: An engine starts within this, also on a machine that does other work.
START_S = 200
#: Arms of that engine, with an adapter each.
RMS = ("rm", "other")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("reward-engine")
    base = tiny.decoder(folder / "base", hidden=128)  # a size of head that the CPU engine has kernels for
    engine_args = {"dtype": "float32", "kv_cache_memory_bytes": 2**27, "max_num_batched_tokens": 1024}
    arms: list[dict[str, Any]] = [{"name": "loglik", "kind": "loglik"}]
    for seed, name in enumerate(RMS):
        adapter = save_adapter(base, folder / name, "SEQ_CLS", seed=seed)
        options = {"model": str(base), "adapter": str(adapter), "engine_args": engine_args}
        arms.append({"name": name, "kind": "vllm", "options": options})
    config = folder / "laserve.yaml"
    config.write_text(yaml.safe_dump({"arms": arms}))
    env = {"LASERVE_DATA_DIR": str(folder)}
    with serving(
        folder / "log", "--profile", "fake", "--config", str(config), env=env, timeout_s=START_S
    ) as server:
        yield Service(server, folder)


def test_the_service_is_ready_before_all_arms_are(service: Service) -> None:
    until(lambda: "loading" not in service.get("/readyz")["arms"].values(), timeout_s=START_S)
    assert service.get("/readyz")["arms"] == dict.fromkeys(("loglik", *RMS), "ready")
    said = service.server.output()
    assert said.index("laserve is ready") < said.index("loaded, arms: ")
    assert f"loading: {', '.join(RMS)}" in said


def test_a_killed_engine_costs_its_arms_and_is_started_again(service: Service) -> None:
    before = {arm: scored_by(service, arm) for arm in RMS}
    (engine,) = (
        pid
        for pid, title in descendants(service.server.process.pid).items()
        if title.startswith("VLLM::EngineCore")
    )
    os.kill(engine, signal.SIGSTOP)  # what it is asked now is under way until it is killed
    with ThreadPoolExecutor(1) as thread:
        under_way = thread.submit(service.generate, arm="rm", n=4)
        until(lambda: service.sample("laserve_permits_in_use") == 1)
        os.kill(engine, signal.SIGKILL)
        answers = {"rm": under_way.result(60)}
    answers["other"] = service.generate(arm="other", n=4)

    for arm, answer in answers.items():
        assert answer["scored_by"] == "loglik"
        failed = {reason.split(": ")[1] for reason in answer["degraded"]}
        assert arm in failed <= set(RMS)  # the other one may have been asked in its place
        assert all(reason.startswith("arm_failed: ") for reason in answer["degraded"])
    assert any("the engine has died" in reason for reason in answers["other"]["degraded"])
    assert service.get("/readyz")["status"] == "ready"

    restarted = ("laserve_engine_restarts_total", frozenset({("engine", "rm-base"), ("outcome", "ready")}))
    until(lambda: service.samples().get(restarted, 0) == 1, timeout_s=START_S)
    for arm, scores in before.items():
        until(lambda: service.generate(arm=arm, n=4)["scored_by"] == arm, timeout_s=60)  # noqa: B023
        assert scored_by(service, arm) == pytest.approx(scores, abs=2e-4)


def scored_by(service: Service, arm: str) -> list[float]:
    """The scores that an arm gives always the same candidates."""
    answer = service.generate(arm=arm, n=4, seed=1)
    assert answer["scored_by"] == arm
    return [candidate["score"] for candidate in answer["candidates"]]


def test_a_killed_server_takes_its_engine_with_it(service: Service) -> None:
    engine = descendants(service.server.process.pid)
    assert sum(title.startswith("VLLM::") for title in engine.values()) == 1
    service.server.kill()
    try:
        until(lambda: not any(map(lives, engine)), timeout_s=30)
    finally:
        for pid in filter(lives, engine):
            os.kill(pid, signal.SIGKILL)
