"""One model in several processes, each with its share of the batch: the gradient is that of the whole batch.

torch's DistributedDataParallel (DDP) sums the gradients of some layers over all processes while the backward pass
computes those of the layers before them.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, autograd, nn
from torch.nn.parallel import DistributedDataParallel

from speech_recognition.runtime import distributed

_BUCKET_MB = 64
"""Least size of a message of gradients, in MiB: large enough for the full rate, small enough to leave early."""


def data_parallel(model: nn.Module) -> nn.Module:
    """Return the model that `training_step` takes: `model` itself in a single process, else a wrapper around it.

    All processes must call this together: the first one's weights replace those of the others. Raises PeerError if
    another process has ended.
    """
    if distributed.size() == 1:
        return model
    # BatchNorm's statistics are equal everywhere as they are, so no buffers are sent. static_graph would save nothing,
    # since every step uses every weight, and it fails with no_sync (pytorch issue 143580).
    with distributed.computing_with_peers():
        return DistributedDataParallel(
            model,
            process_group=distributed.gradient_group(),
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
            bucket_cap_mb=_BUCKET_MB,
        )


@contextmanager
def adding_gradients(model: nn.Module, *, last: bool) -> Iterator[None]:
    """Add the gradients of one forward and one backward pass, which the block runs, to those of earlier parts.

    last: no part of the batch follows, so the gradients are summed over all processes. Raises PeerError if another
    process has ended.
    """
    with ExitStack() as stack:
        if isinstance(model, DistributedDataParallel):
            stack.enter_context(distributed.computing_with_peers())
            if not last:
                stack.enter_context(model.no_sync())
        yield


def backward(loss: Tensor) -> None:
    """Compute the gradients of `loss`, which all processes and parts of a batch add up to."""
    # DDP divides sums over the processes by their number, so every gradient begins with that factor.
    autograd.backward(loss, loss.new_full((), distributed.size()))
