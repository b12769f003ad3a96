"""The store's protocol: decisions as documents, the event log as the truth."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from laserve.types import Decision, Event


@dataclass(frozen=True, kw_only=True)
class StoredFeedback:
    """A feedback as it was acknowledged; its event carries what it teaches."""

    #: Name of the API key that sent it, with `identity` the primary key.
    key: str
    identity: str
    decision_id: str
    #: SHA-256 of the canonical body; None once the text is gone.
    digest: str | None
    #: What the client said; None once the text is gone.
    body: dict[str, Any] | None
    learned: bool
    reward: float | None
    #: Position of its event.
    position: int
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which decisions to read; by default all of them."""

    #: Unix seconds: those made then or later.
    since: float | None = None
    task: str | None = None
    #: Only those with feedback, or with a default in its place.
    with_feedback: bool = False


@dataclass(frozen=True, kw_only=True)
class Logged:
    """A decision, and the feedback on it in the order of the log."""

    decision: Decision
    feedback: tuple[StoredFeedback, ...]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The folded state at one position."""

    position: int
    #: `BanditState.digest` at that position.
    digest: str
    payload: bytes
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Space:
    """Space on the disk that a store takes and has left, in bytes."""

    #: Size of each file: ``database``, and ``wal`` for the write-ahead log where it exists.
    files: Mapping[str, int]
    #: What a process without privileges may still write.
    free: int


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What was recorded before a feedback."""

    #: Feedback of the same key and identity, on whichever decision.
    same: StoredFeedback | None
    #: Whether a client has given any feedback on the decision; a default reward is none.
    answered: bool


def default_identity(decision_id: str) -> str:
    """Identity, in place of a feedback's, of a decision's default reward."""
    return f"default:{decision_id}"


class LogWriter(Protocol):
    """One transaction on the log. What it reads includes what it wrote."""

    async def now(self) -> float:
        """Unix seconds by the store's clock, which all replicas share.

        It follows the clock of the machine, so it may step back; the order of the log is that of positions.
        """

    async def tip(self) -> int:
        """Position of the last event, 0 for an empty log."""

    async def checksum(self, position: int) -> str:
        """Of the event there, which vouches for all events before it; empty where there is none."""

    async def feedback(self, key: str, identity: str) -> StoredFeedback | None: ...

    async def earlier(self, key: str, identity: str, decision_id: str) -> Earlier:
        """What was recorded before a feedback of this key and identity on this decision."""

    async def decision(self, decision_id: str) -> Decision:
        """Raises NotFound or Gone."""

    async def taught(self, decision_id: str) -> Event | None:
        """The latest event by which the decision has taught, None when it has taught nothing yet."""

    async def append(self, event: Event) -> Event:
        """Place an event at the end and return it with its position."""

    async def add_feedback(self, feedback: StoredFeedback) -> None: ...

    async def settle(self, decision_id: str) -> None:
        """Let no default reward of the decision be due any more."""


class Store(Protocol):
    """Keeps decisions, feedback, events and snapshots.

    Every method raises StoreError when the database refuses. A write that has returned survives the death
    of the process and of the machine.
    """

    async def open(self) -> None:
        """Create or migrate, and take the exclusive lock. Raises ConfigError when another has it."""

    async def close(self) -> None: ...

    @property
    def refusing(self) -> bool:
        """Whether a write was refused, and `check` has not seen a test write succeed since."""

    def stop(self, reason: str) -> None:
        """Take no write any more, since what was acknowledged could be lost; only another start ends that."""

    async def check(self) -> None:
        """Raise StoreError when the database does not answer, still refuses a write, or has stopped."""

    async def space(self) -> Space | None:
        """Space of its files; None without files that last, or where they cannot be looked at."""

    async def add_decisions(self, decisions: Sequence[Decision]) -> None:
        """All or none, in one commit."""

    async def add_scores(
        self,
        decision_id: str,
        *,
        choices: Mapping[str, int],
        scores: Mapping[str, Sequence[float | None]],
    ) -> None:
        """Add what more arms made of a decision. Raises NotFound or Gone."""

    async def decision(self, decision_id: str) -> Decision:
        """Raises NotFound or Gone."""

    def decisions(self, wanted: Wanted) -> AsyncGenerator[Logged]:
        """Decisions by time and id, oldest first; those without texts, and deleted ones, are among them.

        They are read in pages, and nothing is held open between two pages.
        """

    async def erase(self, decision_id: str, now: float) -> None:
        """Remove texts, references and metadata for good; x, arm and rewards stay.

        Raises NotFound or Gone.
        """

    async def expire_texts(self, before: float) -> int:
        """Remove the texts of decisions older than that Unix time and return how many decisions lost them."""

    def writing(self) -> AbstractAsyncContextManager[LogWriter]:
        """Open the only transaction that may append; it commits when the block ends without an error.

        Nobody else, whatever the process, appends while it is open.
        """

    def events(self, after: int = 0) -> AsyncIterator[Event]:
        """Events in order, from the first behind `after`. Raises CorruptLog at a row that was altered."""

    async def feedback_rows(self, decision_id: str | None = None) -> Sequence[StoredFeedback]:
        """Feedback in the order of the log, of one decision or of all."""

    async def due(self, limit: int) -> Sequence[str]:
        """Ids of decisions whose default reward is due by the store's clock, the longest due first."""

    async def pending(self) -> int:
        """Number of decisions whose default reward is due now or later."""

    async def latest_snapshot(self) -> Snapshot | None:
        """The newest snapshot whose bytes are whole; torn ones are passed over."""

    async def add_snapshot(self, snapshot: Snapshot) -> None: ...
