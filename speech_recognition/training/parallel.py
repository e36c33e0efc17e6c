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
"""Gradients in one message, in MiB: enough for full bandwidth, and few enough to start before the pass has ended."""


def data_parallel(model: nn.Module) -> nn.Module:
    """Return `model` for `gradient_of`: the model itself in a single process, else a wrapper that holds it.

    All processes must call this together: the first one's weights replace those of the others.
    """
    if distributed.size() == 1:
        return model
    # BatchNorm's statistics are equal everywhere as they are, so no buffers are sent. Every step uses every weight,
    # also with a placeholder, so DDP need not look for unused ones, and static_graph would save nothing.
    return DistributedDataParallel(
        model,
        process_group=distributed.gradient_group(),
        broadcast_buffers=False,
        gradient_as_bucket_view=True,
        bucket_cap_mb=_BUCKET_MB,
    )


@contextmanager
def adding_gradients(model: nn.Module, *, last: bool) -> Iterator[None]:
    """Run one forward and one backward pass in the block; both add to the gradients of this process.

    last: the parts of the batch before this one are done, so sum the gradients over all processes. Raises PeerError if
    another process has ended.
    """
    with ExitStack() as stack:
        if isinstance(model, DistributedDataParallel):
            stack.enter_context(distributed.peers_in_backward())
            if not last:
                stack.enter_context(model.no_sync())
        yield


def backward(loss: Tensor) -> None:
    """Compute the gradients of this process's share of the loss."""
    # DDP divides the sum over all processes by their number. The loss is a sum of shares, so it must not be divided.
    autograd.backward(loss, loss.new_full((), distributed.size()))
