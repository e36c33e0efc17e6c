"""The window of a profile: steady training steps, recorded after some that are not."""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import torch
from torch.profiler import profile, record_function

from speech_recognition.files import atomic_write
from speech_recognition.orders import spread
from speech_recognition.profiling.layers import marked, nvtx_range, torch_range
from speech_recognition.profiling.trace import ABOUT, WINDOW
from speech_recognition.runtime.devices import wait_for
from speech_recognition.training.epochs import TrainingSet
from speech_recognition.training.trainer import Trainer


@contextmanager
def torch_recording(trainer: Trainer, path: Path, about: Mapping[str, object]) -> Iterator[None]:
    """Record what runs in the block with torch's profiler and write the trace to `path`, as compressed JSON.

    `about` holds facts that the trace shall have: preset, batch_size, steps.
    """
    with profile(acc_events=True) as recorded:
        recorded.add_metadata_json(ABOUT, json.dumps(dict(about)))  # torch ignores it after the recording
        with marked(trainer, torch_range, backward=False), record_function(WINDOW):
            yield
    # torch compresses a trace if the name of its file ends in .gz.
    with atomic_write(path) as partial, tempfile.TemporaryDirectory() as folder:
        recorded.export_chrome_trace(f"{folder}/trace.json.gz")
        shutil.copyfile(f"{folder}/trace.json.gz", partial)


@contextmanager
def captured_range(trainer: Trainer) -> Iterator[None]:
    """Tell nsys or ncu, under which this process runs on a GPU, to record what runs in the block."""
    runtime = torch.cuda.cudart()  # type: ignore[no-untyped-call]
    with marked(trainer, nvtx_range, backward=True):
        torch.cuda.check_error(runtime.cudaProfilerStart())
        try:
            yield
        finally:
            torch.cuda.check_error(runtime.cudaProfilerStop())


def record(
    trainer: Trainer, train_set: TrainingSet, warm_up: int, steps: int, recording: AbstractContextManager[None]
) -> None:
    """Train for `warm_up` steps, then for `steps` inside `recording`, on batches from all over the first epoch.

    Raises as `Trainer.train` does.
    """
    plan = train_set.plan(1)
    # Some recipes begin with the shortest utterances: the first batches of an epoch would not be typical.
    batches = [*spread(plan.batches, warm_up), *spread(plan.batches, steps)]
    with closing(trainer.train(train_set, dataclasses.replace(plan, batches=batches))) as done:
        for _ in range(warm_up):
            next(done)
        wait_for(trainer.device)  # else kernels of the warm-up would be in the recording
        with recording:
            for _ in range(steps):
                next(done)
            wait_for(trainer.device)
