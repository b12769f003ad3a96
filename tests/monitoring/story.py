"""The story of a scene: ordinary traffic, every fault, recovery, and a restart with another generator."""

import time
from collections.abc import Sequence
from typing import Any

from acceptance.wire import until
from monitoring.scene import ADDED, LIMIT, Scene
from monitoring.traffic import FAULTS, burst, late_feedback
from processes import disk_full

#: Alerts that the story causes, in the order of its acts.
FAULTY = ("LaserveArmFailing", "LaserveArmCircuitOpen", "LaserveDegraded", "LaserveRejecting")
FAULTY += ("LaserveArmNotLoaded",)
POOR = ("LaserveRewardDropping",)
FULL = ("LaserveStoreRefusing", "LaserveNotReady", "LaserveErrors")
DEAD = ("LaserveEngineDead",)
SILENT = ("LaserveFeedbackStopped",)
STOPPED = ("LaserveDown",)
CAUSED = {*POOR, *FAULTY, *FULL, *DEAD, *SILENT, *STOPPED}


def play(scene: Scene, *, ordinary_s: float = 0.0) -> None:
    """Play all of it.

    Args:
        ordinary_s: least seconds of ordinary traffic before and after the faults.
    """
    with scene.watched.running(1):
        with scene.traffic.running(2):
            ordinary(scene, ordinary_s)
            poor_answers(scene)
            faults(scene)
            full_disk(scene)
            recovery(scene)
            dead_engine(scene)
            ordinary(scene, ordinary_s)
            no_feedback(scene)
        restart(scene)


def fired(names: Sequence[str]) -> str:
    """An expression that has a value when all of these alerts have fired."""
    alerts = f'alertname=~"{"|".join(names)}",alertstate="firing",instance!=""'
    seen = f"max by (alertname) (max_over_time(ALERTS{{{alerts}}}[90s]))"
    return f"count({seen}) == {len(names)}"


def ordinary(scene: Scene, least_s: float) -> None:
    """Rewards of a day, as the shorter rules see it, with feedback that comes in time and too late."""
    late: list[str] = []
    until_then = time.monotonic() + least_s
    scene.wait("sum(laserve:reward_count:increase1d_before) > 60", lambda: late_feedback(scene.traffic, late))
    until(lambda: time.monotonic() > until_then, timeout_s=least_s + 10)


def poor_answers(scene: Scene) -> None:
    """Rewards that fall, whichever arm chose the answer."""
    scene.traffic.worth = 0.1
    scene.wait(fired(POOR))
    scene.traffic.worth = 1.0


def faults(scene: Scene) -> None:
    """Arms that fail, wrong clients, more load than permits, and two arms more."""
    for arm in ADDED:
        assert scene.service.client.post("/arms", json=arm).status_code == 202
    until(lambda: {state(scene, arm["name"]) for arm in ADDED} == {"ready"}, timeout_s=60)
    for fault in ("raise", "some-nan"):
        (scene.folder / "main" / fault).touch()

    def all_of_them() -> None:
        for fault in FAULTS:
            fault(scene.traffic)
        burst(scene.traffic, LIMIT + 4)

    scene.wait(fired(FAULTY), all_of_them)


def full_disk(scene: Scene) -> None:
    """A database that has no room for another write."""

    def ask() -> None:
        with scene.traffic.client() as client:
            client.post("/generate", json={"prompt": "room " * 10_000, "n": 1, "arm": "loglik"})

    with disk_full(scene.service.server, scene.service.database):
        scene.wait(fired(FULL), ask)
    until(lambda: scene.service.client.get("/readyz").status_code == 200, timeout_s=30)


def recovery(scene: Scene) -> None:
    """All arms work again, also the one that had not loaded; one is retired."""
    for fault in ("raise", "some-nan", "broken"):
        (scene.folder / "main" / fault).unlink()
    move(scene, "broken", "enabled")
    move(scene, "slow", "retired")
    until(lambda: state(scene, "broken") == "ready", timeout_s=60)
    until(lambda: state(scene, "flaky") != "open", timeout_s=40)  # its pauses have doubled


def dead_engine(scene: Scene) -> None:
    """An engine that dies and cannot be started at once."""
    scene.engine.kill()
    scene.wait(f"({fired(DEAD)}) and on () (sum(laserve_engine_restarts_total) >= 2)")
    scene.engine.startable = True
    scene.wait("laserve_engine_up == 1")


def no_feedback(scene: Scene) -> None:
    """People who rate all day long, as the shorter rules see it, and then rate no more.

    Until then, arms have scored enough requests, also a day ago, for a drift of their scores.
    """
    scene.wait(f"min_over_time({answered(scene)}[1d]) > 7 and on () laserve:score_drift:sd1d")
    scene.traffic.rating = 0.0
    scene.wait(fired(SILENT))
    scene.traffic.rating = 0.7


def restart(scene: Scene) -> None:
    """Another generator, policy and number of permits."""
    scene.service.server.stop()
    scene.wait(fired(STOPPED))
    scene.service = scene.restart(
        GENERATION__ENGINE_ARGS={"salt": "another"}, POLICY__NAME="lints", SERVER__MAX_CONCURRENT_REQUESTS=16
    )
    with scene.traffic.running(2):
        scene.wait(f"{answered(scene)} > 5 and on () max(laserve_changes) > 0")


def answered(scene: Scene) -> str:
    """The number of first answers that the main service has just got."""
    return f'laserve:answered:increase1h{{instance="{scene.traffic.url.removeprefix("http://")}"}}'


def state(scene: Scene, arm: str) -> Any:
    return scene.service.get(f"/arms/{arm}")["state"]


def move(scene: Scene, arm: str, to: str) -> None:
    answer = scene.service.client.patch(f"/arms/{arm}", json={"state": to})
    assert answer.status_code == 200, answer.text
