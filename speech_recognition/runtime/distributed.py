"""The processes of a run: those that torchrun has started, or one alone.

Every process calls the same functions in the same order. Alone, they cost nothing.
"""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from speech_recognition.errors import InputError, PeerError
from speech_recognition.runtime.devices import choose_device

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What torchrun has told this process."""

    local_rank: int | None = None
    """number of the process on its machine; None without torchrun"""
    run_id: str = ""
    """torchrun's name of the run, the same in all processes and after a restart"""
    restarts: int = 0
    """how often torchrun has started this machine's processes again after a failure of one of them"""
    max_restarts: int = 0
    nodes: int = 1
    """machines"""
    shares_store: bool = False
    """whether torchrun keeps one store for all attempts"""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Launch":
        """Read off the variables that torchrun sets. Raises InputError if some are missing or are no numbers."""
        if "TORCHELASTIC_RUN_ID" not in environment:
            if "RANK" in environment and environment.get("WORLD_SIZE") != "1":
                raise InputError(
                    "RANK is set, but TORCHELASTIC_RUN_ID is not: unset RANK, or start the processes with --num-gpus or"
                    " torchrun"
                )
            return cls()
        wrong = [name for name in _NUMBERS if not _is_number(environment.get(name, ""))]
        wrong += ["MASTER_ADDR"] if not environment.get("MASTER_ADDR") else []
        if wrong:
            raise InputError(
                f"{', '.join(wrong)}: missing or no number, but TORCHELASTIC_RUN_ID is set: unset that, or start the"
                " processes with --num-gpus or torchrun"
            )
        return cls(
            local_rank=int(environment["LOCAL_RANK"]),
            run_id=environment["TORCHELASTIC_RUN_ID"],
            restarts=int(environment["TORCHELASTIC_RESTART_COUNT"]),
            max_restarts=int(environment["TORCHELASTIC_MAX_RESTARTS"]),
            nodes=int(environment["GROUP_WORLD_SIZE"]),
            shares_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        )

    @property
    def first_on_its_machine(self) -> bool:
        """Whether this process does what is to be done once on each machine."""
        return self.local_rank in (None, 0)

    @property
    def restarted(self) -> bool:
        """Whether these are not the first processes of the run."""
        return self.restarts > 0

    @property
    def ends_the_run(self) -> bool:
        """Whether a failure now is the run's last."""
        return self.restarts >= self.max_restarts


ALONE = Launch()
"""Without torchrun."""

_NUMBERS = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_WORLD_SIZE", "MASTER_PORT"]
_NUMBERS += ["TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS"]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


@contextlib.contextmanager
def joined(launch: Launch, device_name: str) -> Iterator[torch.device]:
    """Be one of the run's processes in the block: NCCL between GPUs, gloo between CPUs. Gives this one's device.

    Python's standard error is the first one's alone, until the block ends.
    Raises InputError on a device that is not there, or where torchrun's options do not allow to restart.
    """
    if launch.local_rank is None:
        yield choose_device(device_name)
        return
    device = choose_device(device_name)
    if device.type == "cuda":
        if device.index is not None:
            raise InputError(
                f"--device {device_name}: under torchrun it is auto, cpu or cuda; each process takes its own"
            )
        device = choose_device(f"cuda:{launch.local_rank}")
        torch.cuda.set_device(device)
    _meet("nccl" if device.type == "cuda" else "gloo", launch)
    try:
        with contextlib.ExitStack() as stack:
            if not is_first():  # one log, one progress bar
                stack.enter_context(
                    contextlib.redirect_stderr(stack.enter_context(open(os.devnull, "w", encoding="utf-8")))
                )
            yield device
    finally:
        dist.destroy_process_group()


def _meet(backend: str, launch: Launch) -> None:
    """Find the other processes, by the addresses that each leaves in torchrun's store.

    That store outlives a restart, and what the last processes left would be found: the key of each attempt has
    the count of restarts before it. Among several machines these counts differ; there torchrun has to open a
    store for each attempt, or not to restart.
    """
    if launch.max_restarts and launch.run_id == "none":
        raise InputError(
            "torchrun --max-restarts: give --rdzv-id NAME too (or --standalone), by which a run that starts again is"
            " told from an older one"
        )
    if launch.nodes > 1 and launch.max_restarts and launch.shares_store:
        raise InputError(
            "torchrun --max-restarts: on several machines, set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun,"
            " or processes that start again find the addresses of those that are gone"
        )
    # The optimizers import it. Imported while there is a process group it keeps that group, whose threads then
    # outlive Python and abort the process in one of twenty runs.
    importlib.import_module("torch._dynamo")
    store, rank, size = next(rendezvous("env://"))
    prefix = "" if launch.nodes > 1 else f"attempt_{launch.restarts}"
    dist.init_process_group(backend, store=PrefixStore(prefix, store), rank=rank, world_size=size)


def size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this one, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the process that writes the log and the results."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process is here."""
    if size() > 1:
        with _peers():
            dist.barrier()


def all_reduce(tensor: Tensor) -> Tensor:
    """`tensor`, which now holds its sum over all processes."""
    if size() > 1:
        with _peers():
            dist.all_reduce(tensor)
    return tensor


def maximum(number: int) -> int:
    """The largest of the numbers that the processes give."""
    if size() == 1:
        return number
    tensor = torch.tensor(number, device=_object_device())
    with _peers():
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return int(tensor.item())


def gather(value: Value) -> list[Value]:
    """What every process gives, in the order of their numbers."""
    if size() == 1:
        return [value]
    values: list[Any] = [None] * size()
    with _peers():
        dist.all_gather_object(values, value)
    return values


def from_first(make: Callable[[], Value]) -> Value:
    """What `make` gives in the first process; the others wait for it, and raise PeerError if it fails."""
    if size() == 1:
        return make()
    values: list[Any] = [None]
    try:
        if is_first():
            values = [(make(),)]
    finally:
        with _peers():
            dist.broadcast_object_list(values, src=0)
    if values[0] is None:
        raise PeerError("the first process has failed")
    result: Value = values[0][0]
    return result


def _object_device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


@contextlib.contextmanager
def _peers() -> Iterator[None]:
    """A process that ends closes its connections, which the others see as errors of many kinds."""
    try:
        yield
    except RuntimeError as error:
        raise PeerError(str(error).splitlines()[0]) from None
