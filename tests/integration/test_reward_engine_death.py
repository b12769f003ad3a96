"""A reward model's engine that dies costs its arm, until it is back; the generator and other arms go on."""

import os
import signal
from collections.abc import Iterator

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


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("reward-engine")
    base = tiny.decoder(folder / "base", hidden=128)  # a size of head that the CPU engine has kernels for
    adapter = save_adapter(base, folder / "adapter", "SEQ_CLS")
    options = {
        "model": str(base),
        "adapter": str(adapter),
        "engine_args": {"kv_cache_memory_bytes": 2**27, "max_num_batched_tokens": 1024},
    }
    arms = [{"name": "rm", "kind": "vllm", "options": options}, {"name": "loglik", "kind": "loglik"}]
    config = folder / "laserve.yaml"
    config.write_text(yaml.safe_dump({"arms": arms}))
    env = {"LASERVE_DATA_DIR": str(folder)}
    with serving(
        folder / "log", "--profile", "fake", "--config", str(config), env=env, timeout_s=START_S
    ) as server:
        yield Service(server, folder)


def test_the_service_is_ready_before_all_arms_are(service: Service) -> None:
    until(lambda: service.get("/readyz")["arms"]["rm"] != "loading", timeout_s=START_S)
    assert service.get("/readyz")["arms"] == {"rm": "ready", "loglik": "ready"}
    said = service.server.output()
    assert said.index("laserve is ready") < said.index("loaded, arms: ")
    assert "loading: rm" in said


def test_a_killed_engine_costs_its_arm_and_is_started_again(service: Service) -> None:
    assert service.generate(arm="rm", n=4)["scored_by"] == "rm"
    (worker,) = (
        pid
        for pid, title in descendants(service.server.process.pid).items()
        if title.startswith("VLLM::Worker")
    )
    os.kill(worker, signal.SIGKILL)

    answer = service.generate(arm="rm", n=4)
    assert answer["scored_by"] == "loglik"
    (reason,) = answer["degraded"]
    assert reason.startswith("arm_failed: rm: ")
    assert service.get("/readyz")["status"] == "ready"

    restarted = ("laserve_engine_restarts_total", frozenset({("engine", "rm-base"), ("outcome", "ready")}))
    until(lambda: service.samples().get(restarted, 0) == 1, timeout_s=START_S)
    until(lambda: service.generate(arm="rm", n=4)["scored_by"] == "rm", timeout_s=60)


def test_a_killed_server_takes_its_engine_with_it(service: Service) -> None:
    engine = descendants(service.server.process.pid)
    assert sum(title.startswith("VLLM::") for title in engine.values()) == 2
    service.server.kill()
    try:
        until(lambda: not any(map(lives, engine)), timeout_s=30)
    finally:
        for pid in filter(lives, engine):
            os.kill(pid, signal.SIGKILL)
