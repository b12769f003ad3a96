"""The worker of a vLLM engine on a CPU; only processes of engines import this module."""

import ctypes
import os
from typing import Any

import torch
from vllm.utils.cpu_resource_utils import get_allowed_cpu_list
from vllm.v1.worker.cpu_worker import CPUWorker

from laserve.engines import cpu


class Worker(CPUWorker):  # type: ignore[misc]
    """vLLM's CPU worker, which sets its number of threads and gives back what loading has left."""

    def init_device(self) -> None:
        alone = self.parallel_config.distributed_executor_backend == cpu.ONE_PROCESS
        if alone and "OMP_NUM_THREADS" not in os.environ:  # otherwise the environment decides
            torch.set_num_threads(self._threads())
        super().init_device()

    def load_model(self, *arguments: Any, **options: Any) -> None:
        super().load_model(*arguments, **options)
        ctypes.CDLL(None).malloc_trim(0)  # the weights have been packed anew, from copies that are free now

    def _threads(self) -> int:
        """All cores for reward models. A generator leaves one to the service, as vLLM does by itself."""
        if self.model_config.runner_type == "pooling":
            return len(os.sched_getaffinity(0))
        return max(1, len({core.physical_core for core in get_allowed_cpu_list()}) - 1)
