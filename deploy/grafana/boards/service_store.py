"""The rows of the board *Service* on the store and the process."""

from boards.parts import Panel, Query, Row
from boards.promql import INSTANCE, RATE, gauge, rate

STORE = Row(
    title="Store",
    panels=[
        Panel(
            title="Size of the database",
            description="Bytes of the database's files. The write-ahead log (`wal`) stays small unless a "
            "reader keeps it open. Storage in memory has no files and no data here.",
            unit="bytes",
            low=0,
            queries=[
                Query(expr=gauge("laserve_database_bytes", "instance, file"), legend="{{file}}, {{instance}}")
            ],
        ),
        Panel(
            title="Free space for the database",
            description="Bytes that the service may still write on the database's file system.",
            unit="bytes",
            low=0,
            queries=[
                Query(expr=gauge("laserve_database_free_bytes", "instance", "min"), legend="{{instance}}")
            ],
        ),
        Panel(
            title="Ready, and writes",
            description="`serves`: whether requests are served. `writes`: `refused` while the database takes "
            "no writes, and requests are answered 503.",
            unit="none",
            kind="states",
            texts={0: "no", 1: "yes", 2: "accepted", 3: "refused"},
            queries=[
                Query(expr=gauge("laserve_ready", "instance", "min"), legend="serves, {{instance}}"),
                Query(
                    expr=gauge("laserve_store_refusing", "instance") + " + 2", legend="writes, {{instance}}"
                ),
            ],
        ),
        Panel(
            title="Events",
            description="Events that enter the log a second, and events since the newest snapshot (all, if "
            "there is none), which a start must fold again.",
            unit="short",
            low=0,
            queries=[
                Query(
                    expr=f"sum by (instance) (deriv(laserve_events_position{{{INSTANCE}}}[{RATE}]))",
                    legend="a second, {{instance}}",
                ),
                Query(
                    expr=f"max by (instance) (laserve_events_position{{{INSTANCE}}} - ("
                    f"laserve_snapshot_position{{{INSTANCE}}} or laserve_events_position{{{INSTANCE}}} * 0))",
                    legend="since the snapshot, {{instance}}",
                ),
            ],
        ),
        Panel(
            title="Age of the newest snapshot",
            description="Seconds since the state was written last. Without a snapshot there is no data.",
            unit="s",
            low=0,
            queries=[Query(expr=gauge("laserve_snapshot_age_seconds", "instance"), legend="{{instance}}")],
        ),
    ],
)

PROCESS = Row(
    title="Process",
    panels=[
        Panel(
            title="Resident memory",
            description="Memory of the service's process; engines run in processes of their own, which are "
            "not in it.",
            unit="bytes",
            low=0,
            queries=[Query(expr=gauge("process_resident_memory_bytes", "instance"), legend="{{instance}}")],
        ),
        Panel(
            title="CPU",
            description="Cores that the service's process keeps busy; engines are not in it.",
            unit="none",
            low=0,
            queries=[Query(expr=rate("process_cpu_seconds_total", "instance"), legend="{{instance}}")],
        ),
        Panel(
            title="Open files",
            description="Share of the file descriptors that the process may open; connections of clients "
            "take one each.",
            unit="percentunit",
            low=0,
            queries=[
                Query(
                    expr=f"max by (instance) (process_open_fds{{{INSTANCE}}} "
                    f"/ process_max_fds{{{INSTANCE}}})",
                    legend="{{instance}}",
                )
            ],
        ),
        Panel(
            title="Versions",
            description="Versions of laserve, Python and vLLM on each instance; vLLM's is empty where it is "
            "not installed.",
            unit="none",
            kind="table",
            width=12,
            hidden=["running"],
            queries=[
                Query(
                    expr=f"count by (instance, version, python, vllm) (laserve_build_info{{{INSTANCE}}})",
                    legend="running",
                )
            ],
        ),
    ],
)
