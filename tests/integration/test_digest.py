"""One log gives one state, whatever the processor: a digest can be compared between machines."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from numpy._core import _multiarray_umath as numpy_core

from laserve.bandit.state.fold import BanditState
from laserve.context.features import ContextBuilder, Features
from laserve.eventlog.learner import fold
from laserve.models.encoder import HashEncoder
from laserve.storage.store import SqlStore
from laserve.types import Event, Update, Vector

ARMS = ("loglik", "consensus", "relevance", "later")
FEEDBACK = 240
#: Decisions and corrections before each change, and the share of the learned evidence that it keeps.
CHANGES: dict[int, dict[str, Any]] = {
    70: {"what": "arm", "arm": "consensus", "before": "a", "after": "b", "kept": 0.7},
    190: {"what": "generator", "before": "a", "after": "b", "kept": 0.3},
}

#: Folds the log of a file in three ways, and tells which kernels did it and how they round.
FOLD = """
import asyncio, ctypes, hashlib, json, pathlib, re, sys
import numpy as np
from numpy._core import _multiarray_umath as numpy_core
from laserve.bandit.state.fold import BanditState
from laserve.eventlog.learner import Learner, fold
from laserve.storage.store import SqlStore

async def states(store):
    whole = await fold(store)
    half = BanditState()
    async for event in store.events():
        if event.position <= 100:
            half.apply(event)
    resumed = BanditState.from_bytes(half.to_bytes())
    async for event in store.events(after=100):
        resumed.apply(event)
    learner = Learner(seed=0)
    await learner.load(store)
    return whole, resumed, learner

async def main():
    store = SqlStore(pathlib.Path(sys.argv[1]))
    await store.open()
    try:
        return await states(store)
    finally:
        await store.close()

whole, resumed, learner = asyncio.run(main())
library = re.search(r"\\S*openblas\\S*", pathlib.Path("/proc/self/maps").read_text())[0]
names = [prefix + "openblas_get_corename" + suffix for prefix in ("", "scipy_") for suffix in ("", "64_")]
get_corename = next(symbol for name in names if (symbol := getattr(ctypes.CDLL(library), name, None)))
get_corename.restype = ctypes.c_char_p
square = whole.arms["loglik"].S @ whole.arms["consensus"].S
theta = learner.model.theta("loglik")
print(json.dumps({
    "digests": [whole.digest(), resumed.digest(), learner.state.digest()],
    "core": get_corename().decode(),
    "simd": sorted(name for name, there in numpy_core.__cpu_features__.items() if there),
    "rounding": hashlib.sha256(square.tobytes() + theta.tobytes()).hexdigest(),
}))
"""


def some_updates(random: np.random.Generator, arms: Sequence[str]) -> tuple[Update, ...]:
    known = random.permutation(arms)[: random.integers(1, len(arms) + 1)]
    return tuple(Update(arm=str(arm), reward=random.random(), weight=random.random()) for arm in known)


def events(dimension: int, discount: float) -> list[Event]:
    """A log with several arms, one of which joins late, changes, and feedback that is corrected later."""
    random = np.random.default_rng(20_260_101)
    mean = random.standard_normal(dimension)
    diagonal = random.uniform(0.5, 30, dimension)
    start = {
        "settings": {},
        "prior_diagonal": diagonal.tolist(),
        "discount": discount,
        "learn_from": None,
    }
    log = [Event(kind="start", created_at=0.5, body=start)]
    log += [
        Event(kind="arm", created_at=0.5, body={"name": name, "prior_mean": mean.tolist()})
        for name in ARMS[:3]
    ]
    taught: dict[int, Event] = {}
    for number in range(FEEDBACK):
        if number == FEEDBACK // 2:
            later = {"name": ARMS[3], "prior_mean": (mean / 3).tolist()}
            log.append(Event(kind="arm", created_at=0.5, body=later))
        if number in CHANGES:
            log.append(Event(kind="change", created_at=0.5, body=CHANGES[number]))
        arms = ARMS if number > FEEDBACK // 2 else ARMS[:3]
        first = taught[int(random.choice(list(taught)))] if number % 5 == 4 else None
        updates = some_updates(random, arms)
        ordinal = first.body["ordinal"] if first else len(taught) + 1
        lesson = {"ordinal": ordinal, "drawn": ARMS[ordinal % 3], "propensity": 1 / (2 + ordinal % 5)}
        event = Event(
            kind="feedback",
            created_at=0.5 + number,
            decision_id=first.decision_id if first else f"d-{number}",
            x=first.x if first else random.standard_normal(dimension) * random.uniform(0.01, 100),
            updates=updates,
            replaces=first.updates if first else (),
            body={"kind": "references", "played": updates[0].arm, "reward": 1 / (number + 1), "learned": True}
            | lesson
            | ({"replaced_reward": first.body["reward"]} if first else {}),
        )
        taught[int((event.decision_id or "").removeprefix("d-"))] = event
        log.append(event)
    return log


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[1.0, 0.99], ids=["whole", "worn"])
async def log(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Path]:
    path = tmp_path_factory.mktemp("digest") / "laserve.db"
    dimension = ContextBuilder(
        encoder=HashEncoder(), features=Features.read(), tasks=("a", "b", "c", "d", "e")
    ).dimension
    store = SqlStore(path)
    await store.open()
    async with store.writing() as writer:
        for event in events(dimension, request.param):
            await writer.append(event)
    await store.close()
    yield path


def folded(log: Path, **env: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", FOLD, str(log)],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def distinct(results: Sequence[dict[str, Any]], name: str) -> int:
    return len({json.dumps(result[name]) for result in results})


async def test_the_digest_is_the_same_under_every_kernel_of_the_linear_algebra(log: Path) -> None:
    results = [
        await asyncio.to_thread(folded, log, OPENBLAS_CORETYPE=core)
        for core in ("Haswell", "SkylakeX", "Prescott")
    ]
    # That these kernels are at work, and round differently, is what makes the test one.
    assert distinct(results, "core") >= 2
    assert distinct(results, "rounding") >= 2
    assert {digest for result in results for digest in result["digests"]} == {results[0]["digests"][0]}


async def test_the_digest_is_the_same_with_and_without_vector_instructions(log: Path) -> None:
    there = numpy_core.__cpu_features__
    dispatched = " ".join(name for name in numpy_core.__cpu_dispatch__ if there.get(name))
    results = [
        await asyncio.to_thread(folded, log),
        await asyncio.to_thread(folded, log, NPY_DISABLE_CPU_FEATURES=dispatched),
    ]
    assert distinct(results, "simd") == 2
    assert {digest for result in results for digest in result["digests"]} == {results[0]["digests"][0]}


def by_hand(log: Sequence[Event], arm: str) -> tuple[list[list[float]], list[float]]:
    """S and b of one arm, in the arithmetic of plain Python: one IEEE operation after another."""
    discount = float(log[0].body["discount"])
    matrix: list[list[float]] = []
    vector: list[float] = []
    decisions = 0
    kept_since: list[tuple[int, float]] = []
    for event in log:
        if event.kind == "arm" and event.body["name"] == arm:
            d = len(event.body["prior_mean"])
            matrix, vector = [[0.0] * d for _ in range(d)], [0.0] * d
        if event.kind == "change" and event.body.get("arm", arm) == arm:
            kept_since.append((decisions, event.body["kept"]))
            matrix = [[value * event.body["kept"] for value in row] for row in matrix]
            vector = [value * event.body["kept"] for value in vector]
        if event.x is None:
            continue
        if not event.replaces:
            decisions += 1
            matrix = [[value * discount for value in row] for row in matrix]
            vector = [value * discount for value in vector]
        kept = 1.0
        for _ in range(decisions - event.body["ordinal"]):
            kept *= discount
        left = 1.0
        for learned, share in kept_since:
            if learned >= event.body["ordinal"]:
                left *= share
        kept *= left
        steps = [(-kept, update) for update in event.replaces] + [(kept, update) for update in event.updates]
        for sign, update in steps:
            if update.arm == arm:
                _step(matrix, vector, event.x, sign * update.weight, update.reward)
    return matrix, vector


def _step(matrix: list[list[float]], vector: list[float], x: Vector, weight: float, reward: float) -> None:
    values = x.tolist()
    for row, left in zip(matrix, values, strict=True):
        for index, right in enumerate(values):
            row[index] += weight * (left * right)
    for index, value in enumerate(values):
        vector[index] += (weight * reward) * value


async def test_the_state_is_what_arithmetic_by_hand_gives_to_the_last_bit(log: Path) -> None:
    store = SqlStore(log)
    await store.open()
    read = [event async for event in store.events()]
    state: BanditState = await fold(store)
    await store.close()
    assert state.position == 1 + len(ARMS) + len(CHANGES) + FEEDBACK
    for name in ("consensus", "later"):
        matrix, vector = by_hand(read, name)
        assert state.arms[name].S.tolist() == matrix
        assert state.arms[name].b.tolist() == vector


async def test_the_digest_tells_of_every_byte(log: Path) -> None:
    store = SqlStore(log)
    await store.open()
    state = await fold(store)
    await store.close()
    digest = state.digest()
    arm = state.arms["later"]
    for array in (arm.S, arm.b, arm.prior_mean):
        array.flat[-1] = np.nextafter(array.flat[-1], np.inf)
        changed = state.digest()
        assert changed != digest
        digest = changed
    for change in ("pulls", "updates", "reward_sum", "loss"):
        setattr(arm, change, getattr(arm, change) + 1)
        changed = state.digest()
        assert changed != digest
        digest = changed
    state.decisions += 1
    assert state.digest() != digest
