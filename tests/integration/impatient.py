"""`laserve` whose database waits half a second for the lock of another process, not five."""

import sys
from functools import partial
from pathlib import Path

from laserve.cli import main
from laserve.serve import wiring
from laserve.storage.store import SqlStore

#: Seconds that a write of this program waits for another process that holds the database.
BUSY_S = 0.5
#: The command that runs this program.
IMPATIENT = (sys.executable, str(Path(__file__)))

if __name__ == "__main__":
    wiring.SqlStore = partial(SqlStore, busy_timeout_s=BUSY_S)  # type: ignore[assignment, misc]
    main(prog_name="laserve")
