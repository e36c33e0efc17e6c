"""Communication between the processes of a run, which torchrun has started; a single process needs no torchrun.

All processes must call the same functions in the same order. In a single process, they return at once.
"""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore
from torch.distributed import distributed_c10d
from torch.distributed.rendezvous import rendezvous

from speech_recognition.errors import InputError, PeerError
from speech_recognition.runtime.devices import choose_device

Value = TypeVar("Value")

_NCCL_TIMEOUT = timedelta(minutes=6)
"""Time after which NCCL ends a process whose peers do not answer. Longer than `reading.PATIENCE`: a peer that waits for
its data has then said so."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Facts about the run from torchrun's environment variables."""

    local_rank: int | None = None
    """Number of the process on its machine, from 0; None without torchrun."""
    run_id: str = ""
    """Torchrun's name for the run, the same in all processes and after a restart."""
    restarts: int = 0
    """Number of times that torchrun has restarted this machine's processes after one of them failed."""
    max_restarts: int = 0
    """Most times that torchrun restarts them."""
    nodes: int = 1
    """Number of machines."""
    shares_store: bool = False
    """True if torchrun keeps one store for all attempts: processes that restart find the entries of dead ones."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Launch":
        """Return the facts in torchrun's variables. Raises InputError if some are missing or not numbers."""
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
                f"{', '.join(wrong)}: missing or not a number, but TORCHELASTIC_RUN_ID is set: unset that, or start the"
                " processes with --num-gpus or torchrun"
            )
        return cls(
            local_rank=int(environment["LOCAL_RANK"]),
            run_id=environment["TORCHELASTIC_RUN_ID"],
            restarts=int(environment["TORCHELASTIC_RESTART_COUNT"]),
            max_restarts=int(environment["TORCHELASTIC_MAX_RESTARTS"]),
            nodes=int(environment["GROUP_WORLD_SIZE"]),  # torchrun calls the processes of a machine a group
            shares_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        )

    @property
    def first_on_its_machine(self) -> bool:
        """True for the one process of each machine that does what must happen once per machine."""
        return self.local_rank in (None, 0)

    @property
    def restarted(self) -> bool:
        """True if these processes replace earlier ones of the run that failed."""
        return self.restarts > 0

    @property
    def ends_the_run(self) -> bool:
        """True if torchrun will not restart the processes after a failure."""
        return self.restarts >= self.max_restarts


ALONE = Launch()
"""Facts of a process that runs without torchrun."""

_NUMBERS = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_WORLD_SIZE", "MASTER_PORT"]
_NUMBERS += ["TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS"]
"""Torchrun's variables whose values are whole numbers."""


def _is_number(text: str) -> bool:
    """Return whether `text` is a whole number of at most 9 digits, which a 32-bit integer holds."""
    return text.isascii() and text.isdigit() and len(text) < 10


@contextlib.contextmanager
def joined(launch: Launch, device_name: str) -> Iterator[torch.device]:
    """Connect to the run's other processes in the block, by NCCL on GPUs or gloo on CPUs. Yields the device to use.

    Until the block ends, only the first process writes to Python's standard error.
    Raises InputError for a device that does not exist, and for options of torchrun with which restarts would fail.
    """
    if launch.local_rank is None:
        yield choose_device(device_name)
        return
    device = choose_device(device_name)
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"--device {device_name}: only CPUs and CUDA devices train in several processes; use one")
    if device.type == "cuda":
        if device.index is not None:
            raise InputError(
                f"--device {device_name}: under torchrun, use auto, cpu or cuda; each process takes a GPU of its own"
            )
        device = choose_device(f"cuda:{launch.local_rank}")
        # Without this, tensors on plain "cuda", such as those of `maximum`, would all be on the machine's first GPU.
        torch.cuda.set_device(device)
    _meet(device, launch)
    try:
        with contextlib.ExitStack() as stack:
            if not is_first():  # one log, one progress bar
                stack.enter_context(
                    contextlib.redirect_stderr(stack.enter_context(open(os.devnull, "w", encoding="utf-8")))
                )
            yield device
    except BaseException:
        if device.type == "cuda":
            # The GPU may be waiting for a message of a peer that has ended; destroy_process_group would wait with it.
            distributed_c10d._abort_process_group()
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _meet(device: torch.device, launch: Launch) -> None:
    """Connect the processes, by NCCL or gloo. They find each other's addresses in torchrun's store.

    The store outlives a restart with the addresses of dead processes in it, so keys begin with the number of
    restarts. On several machines these numbers differ, so there torchrun must open a store for each attempt, or
    restarts must be off.
    """
    if launch.max_restarts and launch.run_id == "none":
        raise InputError(
            "torchrun --max-restarts: add --rdzv-id NAME (or --standalone), so that a restart can tell this run from an"
            " older one"
        )
    if launch.nodes > 1 and launch.max_restarts and launch.shares_store:
        raise InputError(
            "torchrun --max-restarts: on several machines, set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun,"
            " or restarted processes find the addresses of dead ones"
        )
    # Building an optimizer imports this module. If a process group exists by then, the module keeps it, and its
    # threads outlive Python and abort the process in one of twenty runs.
    importlib.import_module("torch._dynamo")
    store, rank, size = next(rendezvous("env://"))
    prefix = "" if launch.nodes > 1 else f"attempt_{launch.restarts}"
    on_gpus = device.type == "cuda"
    dist.init_process_group(
        "nccl" if on_gpus else "gloo",
        store=PrefixStore(prefix, store),
        rank=rank,
        world_size=size,
        # With its device, NCCL connects here, where a fault is one of the start, and not in the first step.
        device_id=device if on_gpus else None,
        timeout=_NCCL_TIMEOUT if on_gpus else None,
    )


def size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Return true in the process that writes the log and the results."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process has called this function."""
    if size() > 1:
        with _peers():
            dist.barrier()


def all_reduce(tensor: Tensor) -> Tensor:
    """Replace `tensor` by its sum over all processes, and return it."""
    if size() > 1:
        with _peers():
            dist.all_reduce(tensor)
    return tensor


def maximum(number: int) -> int:
    """Return the largest `number` of all processes."""
    if size() == 1:
        return number
    # A message of 8 bytes: `between_steps` asks whether any process got a signal.
    tensor = torch.tensor(number, device=_object_device())
    with _peers():
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return int(tensor.item())


def gather(value: Value) -> list[Value]:
    """Return the `value` of every process, ordered by rank."""
    if size() == 1:
        return [value]
    # torch pickles the values, so this is for small things only, such as a shard's transcripts.
    values: list[Any] = [None] * size()
    with _peers():
        dist.all_gather_object(values, value)
    return values


def from_first(make: Callable[[], Value]) -> Value:
    """Return, in all processes, the result of `make` in the first one. The others raise PeerError if it fails."""
    if size() == 1:
        return make()
    values: list[Any] = [None]
    try:
        if is_first():
            values = [(make(),)]  # in a tuple, so that a result of None differs from a failure
    finally:  # also after a failure: the other processes wait for the broadcast
        # They wait for 30 minutes at most with gloo, and for _NCCL_TIMEOUT with NCCL. Verifying LibriSpeech takes one.
        with _peers():
            dist.broadcast_object_list(values, src=0)
    if values[0] is None:
        raise PeerError("the first process has failed")
    result: Value = values[0][0]
    return result


def _object_device() -> torch.device:
    """Return the device of tensors that are sent: NCCL sends only from GPUs."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def gradient_group() -> dist.ProcessGroup:
    """Return a new group of all processes, for the gradients alone.

    Messages of one group are sent one after the other, and in the same order in all processes. In a group of their own,
    gradients neither delay the short messages of BatchNorm nor need a fixed order among them. All processes must call
    this together.
    """
    with _peers():
        group: dist.ProcessGroup = dist.new_group()
    return group


@contextlib.contextmanager
def _peers() -> Iterator[None]:
    """Turn a lost connection, which torch reports by errors of many kinds, into PeerError: a process has ended."""
    try:
        yield
    except RuntimeError as error:  # DistBackendError is one too
        raise PeerError(str(error).splitlines()[0]) from None


@contextlib.contextmanager
def computing_with_peers() -> Iterator[None]:
    """Turn a connection lost while the block computes into PeerError; errors of the computation stay as they are."""
    try:
        yield
    except RuntimeError as error:
        # NCCL's errors have a class, gloo's name its source files. Memory that runs out is a RuntimeError too.
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise PeerError(str(error).splitlines()[0]) from None
        raise
