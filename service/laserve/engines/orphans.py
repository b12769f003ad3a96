"""The end of an engine's process when its parent process is gone."""

import multiprocessing
import os
import threading
import time

#: Environment variable that a server sets for its processes; processes of other users of vLLM lack it.
MARK = "_LASERVE_ENGINE"
_LOOK_EVERY_S = 0.5
_NAME = "end-with-parent"


def end_with_parent() -> None:
    """Watch the parent in a thread, in a process that multiprocessing has started below a server.

    A killed parent cannot stop its engines, and vLLM's engines keep waiting for it and hold their memory.
    This function is an entry point of ``vllm.general_plugins``, which vLLM calls in each of its processes.
    A second call, or a call in the server itself, does nothing.
    """
    parent = multiprocessing.parent_process()
    watched = any(thread.name == _NAME for thread in threading.enumerate())
    if parent is None or MARK not in os.environ or watched:
        return
    first = os.getppid()

    def watch() -> None:
        while parent.is_alive() and os.getppid() == first:
            time.sleep(_LOOK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, name=_NAME, daemon=True).start()
