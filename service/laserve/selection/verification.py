"""Proof that the log is whole: replay it from nothing and compare with everything derived from it."""

from dataclasses import dataclass

from laserve.bandit.state import BanditState
from laserve.errors import CorruptLog
from laserve.selection.learner import fold
from laserve.storage.base import Store


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a sound log holds."""

    events: int
    feedback: int
    #: Position of the snapshot that was compared, None without one.
    snapshot: int | None
    digest: str


async def verify_store(store: Store) -> Verified:
    """Open a store, `verify` it and close it."""
    try:
        await store.open()
        return await verify(store)
    finally:
        await store.close()


async def verify(store: Store) -> Verified:
    """Check the chain of checksums, the snapshot and the acknowledged feedback against a fresh replay.

    Raises:
        CorruptLog: naming the first thing that does not hold.
    """
    state = BanditState()
    rewards: dict[int, tuple[str | None, float | None, bool]] = {}
    async for event in store.events():
        state.apply(event)
        if event.kind == "feedback":
            rewards[event.position] = (event.decision_id, event.body["reward"], event.body["learned"])
    digest = state.digest()
    rows = await store.feedback_rows()
    for row in rows:
        if rewards.pop(row.position, None) != (row.decision_id, row.reward, row.learned):
            raise CorruptLog(
                f"the feedback on decision {row.decision_id} does not match event {row.position}"
            )
    if rewards:
        raise CorruptLog(f"event {min(rewards)} has no feedback that it came from")
    snapshot = await store.latest_snapshot()
    if snapshot is not None and (await fold(store, snapshot)).digest() != digest:
        raise CorruptLog(f"the snapshot at {snapshot.position} and its tail do not give the state of the log")
    return Verified(
        events=state.position,
        feedback=len(rows),
        snapshot=snapshot.position if snapshot else None,
        digest=digest,
    )
