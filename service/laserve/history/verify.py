"""Verification of the log: a replay from the start, compared with all data derived from the log."""

from dataclasses import dataclass

from laserve.bandit.state.fold import BanditState
from laserve.errors import CorruptLog, InvalidRequest
from laserve.storage.base import Snapshot, Store


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Summary of a log that verifies."""

    events: int
    feedback: int
    #: Position of the compared snapshot; None without one.
    snapshot: int | None
    digest: str


async def verify_store(store: Store, *, to: int | None = None) -> Verified:
    """Open a store, `verify` it and close it."""
    try:
        await store.open()
        return await verify(store, to=to)
    finally:
        await store.close()


async def verify(store: Store, *, to: int | None = None) -> Verified:
    """Check the chain of checksums, the snapshot and the acknowledged feedback against a fresh replay.

    Args:
        to: position of the last event to look at; None for the whole log.

    Raises:
        CorruptLog: a check fails; the message names the first failure.
        InvalidRequest: the log ends before `to`.
    """
    state = BanditState()
    # Snapshot and feedback are read first: the log must hold them, also while a service goes on writing it.
    snapshot = await store.latest_snapshot()
    acknowledged = max((row.position for row in await store.feedback_rows()), default=0)
    last_promised = max(acknowledged, snapshot.position if snapshot else 0)
    if to is not None and snapshot is not None and snapshot.position > to:
        snapshot = None
    rewards: dict[int, tuple[str | None, float | None, bool]] = {}
    async for event in store.events():
        state.apply(event)
        if snapshot is not None and event.position == snapshot.position:
            _compare(snapshot, state)
        if event.kind == "feedback":
            rewards[event.position] = (event.decision_id, event.body["reward"], event.body["learned"])
        if event.position == to:
            break
    if to != state.position and last_promised > state.position:
        raise CorruptLog(f"the log ends at {state.position}, but event {last_promised} was acknowledged")
    if to is not None and to > state.position:
        raise InvalidRequest(f"to: is {to}, but the log ends at {state.position}", param="to")
    rows = [row for row in await store.feedback_rows() if row.position <= state.position]
    for row in rows:
        if rewards.pop(row.position, None) != (row.decision_id, row.reward, row.learned):
            raise CorruptLog(
                f"the feedback on decision {row.decision_id} does not match event {row.position}"
            )
    if rewards:
        raise CorruptLog(f"event {min(rewards)} has no feedback row")
    return Verified(
        events=state.position,
        feedback=len(rows),
        snapshot=snapshot.position if snapshot else None,
        digest=state.digest(),
    )


def _compare(snapshot: Snapshot, state: BanditState) -> None:
    """Raise CorruptLog unless the state at the snapshot's position equals the snapshot."""
    if not snapshot.digest == state.digest() == BanditState.from_bytes(snapshot.payload).digest():
        raise CorruptLog(f"the snapshot at {snapshot.position} is not the state of the log there")
