"""Figures of training steps, of the loader and of single layers, for throughput.py (not a benchmark itself)."""

import dataclasses
import json
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks._cards import peak
from benchmarks._made import Made, librispeech_lengths
from speech_recognition.ahead import copied_ahead
from speech_recognition.augment import Augmentation
from speech_recognition.batches import Batch, collate
from speech_recognition.draws import epoch_draws
from speech_recognition.features import Features
from speech_recognition.model import DeepSpeech2, build_model
from speech_recognition.orders import Indices, epoch_batches
from speech_recognition.parameters import SAMPLE_RATE, Params
from speech_recognition.runtime.devices import use_precision
from speech_recognition.training.optimizers import build_optimizer
from speech_recognition.training.step import training_step

WARM_UP = 3
"""Steps before those that count."""
Row = dict[str, Any]
"""Figures of a measurement by their names, which state the unit."""


def add_line(file: Path | None, row: Row) -> None:
    """Add `row` to a file of JSON lines, if there is one."""
    if file:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")


def measure_preset(chosen: Params, device: torch.device, steps: int, workers: int, peak_tflops: float) -> Row:
    """Return the figures of `steps` training steps; `WARM_UP` steps before them are not counted."""
    use_precision(chosen.model.precision, device)
    size = chosen.data.batch_size
    lengths = librispeech_lengths(max(4000, size * (steps + WARM_UP)))
    draws = epoch_draws(chosen.augmentation, seed=1, epoch=1, utterances=len(lengths))
    stretched = draws.stretched(torch.tensor(lengths)).tolist()
    batches = _batches(chosen, lengths, stretched, steps + WARM_UP)
    features = Features(chosen.features).to(device)
    model = build_model(chosen.model, chosen.features.bins, seed=1).to(device)
    augmentation = partial(Augmentation(chosen.augmentation, features), draws=draws)
    optimizer = build_optimizer(chosen.optimizer, model)
    loaded, times, waits = copied_ahead(_loaded(lengths, batches, workers, device.type == "cuda"), device), [], []
    for _ in batches:
        begin = time.perf_counter()
        batch = next(loaded)
        waits.append(time.perf_counter() - begin)
        training_step(model, augmentation, optimizer, chosen.optimizer.clip_norm, [batch])
        times.append(time.perf_counter() - begin)
    shares = [[1 + round(stretched[index]) // chosen.features.hop_samples for index in batch] for batch in batches]
    padded = [features.rounded_up(max(frames)) for frames in shares]
    row: Row = {"preset": chosen.preset, "precision": chosen.model.precision, "batch": size, "device": _name(device)}
    row |= _times(times, waits, sum(lengths[index] for batch in batches[WARM_UP:] for index in batch), padded)
    row |= _memory(device)
    seconds, useful = sum(times[WARM_UP:]), sum(sum(frames) for frames in shares[WARM_UP:])
    whole = sum(size * len(frames) for size, frames in zip(padded[WARM_UP:], shares[WARM_UP:], strict=True))
    rate = _operations(model, chosen, useful) / seconds / 1e12
    row |= {"padding_percent": round(100 * (1 - useful / whole), 2), "useful_tflops": round(rate, 3)}
    row["padded_tflops"] = round(rate * whole / useful, 3)
    if highest := peak_tflops or peak(_name(device), chosen.model.precision):
        row["useful_percent_of_peak"] = round(100 * rate / highest, 1)
    return row


def _times(times: Sequence[float], waits: Sequence[float], samples: int, shapes: Sequence[int]) -> Row:
    """Return the rate and the times of the steps that count, cold and warm ones apart. samples: of their audio."""
    counted, seconds = times[WARM_UP:], sum(times[WARM_UP:])
    new = [shape not in shapes[:place] for place, shape in enumerate(shapes)][WARM_UP:]
    row: Row = {
        "audio_hours_per_hour": round(samples / SAMPLE_RATE / seconds, 1),
        "step_ms_p50": _ms(counted, 0.5),
        "step_ms_p90": _ms(counted, 0.9),
        "waiting_percent": round(100 * sum(waits[WARM_UP:]) / seconds, 2),
    }
    for name, cold in (("cold", True), ("warm", False)):
        chosen = [each for each, first in zip(counted, new, strict=True) if first == cold]
        row |= {f"{name}_steps": len(chosen), f"{name}_ms_p50": _ms(chosen, 0.5)}
    return row


def _ms(seconds: Sequence[float], share: float) -> float | None:
    """Return the milliseconds that a `share` of the times does not exceed; None without times."""
    return round(1000 * sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))], 3) if seconds else None


def measure_loader(chosen: Params, workers: int, steps: int) -> Row:
    """Return the rate at which `workers` processes make `steps` batches, in MB of samples per second."""
    size = chosen.data.batch_size
    lengths = librispeech_lengths(max(4000, size * (steps + WARM_UP)))
    batches = _batches(chosen, lengths, lengths, steps + WARM_UP)
    loaded = _loaded(lengths, batches, workers, pin=torch.cuda.is_available())
    moved, begin = 0, 0.0
    for number, batch in enumerate(loaded):
        if number == WARM_UP - 1:
            begin = time.perf_counter()
        elif number >= WARM_UP:
            moved += batch.waveforms.nbytes
    return {"workers": workers, "batch": size, "mb_per_second": round(moved / 1e6 / (time.perf_counter() - begin), 1)}


def micro(chosen: Params, device: torch.device) -> Row:
    """Return the type of a GRU's output under autocast, and the times of three layers in one call and in three.

    The one call can overlap the layers; the three are what a BatchNorm between them needs.
    """
    units, frames, size = chosen.model.rnn_units, 20, chosen.data.batch_size
    x = torch.randn(frames, size, units, device=device)
    together = nn.GRU(units, units, 3).to(device)
    apart = [nn.GRU(units, units).to(device) for _ in range(3)]

    def in_three() -> torch.Tensor:
        y = x
        for layer in apart:
            y = layer(y)[0]
        return y

    with torch.autocast(device.type, torch.bfloat16):
        row: Row = {"device": _name(device), "gru_type": str(together(x)[0].dtype)}
        row["one_call_ms"] = _median(lambda: together(x)[0], device)
        row["three_calls_ms"] = _median(in_three, device)
    return row


def _median(work: Callable[[], torch.Tensor], device: torch.device) -> float:
    """Return the median milliseconds of a forward and backward pass, of five after one that is not counted."""
    times = []
    for _ in range(6):
        begin = time.perf_counter()
        work().float().sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - begin)
    return round(1000 * statistics.median(times[1:]), 3)


def _batches(chosen: Params, lengths: Sequence[int], stretched: Sequence[float], count: int) -> list[Indices]:
    """Return `count` batches of utterances that are close in stretched length."""
    data = dataclasses.replace(chosen.data, order="buckets")
    return epoch_batches(data, data.batch_size, lengths, seed=1, epoch=1, stretched=stretched)[:count]


def _loaded(lengths: Sequence[int], batches: Sequence[Indices], workers: int, pin: bool) -> Iterator[Batch]:
    """Yield the batches, made by `workers` processes, in pinned memory with `pin`."""
    loader = DataLoader(Made(lengths), batch_sampler=batches, num_workers=workers, collate_fn=collate, pin_memory=pin)
    yield from loader


def _name(device: torch.device) -> str:
    """Return the name of the card, or the kind of another device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _memory(device: torch.device) -> Row:
    """Return the peaks of memory, in GB; on a CPU, that of the process. Linux counts ru_maxrss in KiB."""
    if device.type == "cuda":
        allocated, reserved = torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
        return {"allocated_gb": round(allocated / 1e9, 2), "reserved_gb": round(reserved / 1e9, 2)}
    return {"memory_gb": round(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9, 2)}


def _operations(model: DeepSpeech2, chosen: Params, frames: int) -> float:
    """Return the number of operations in the products of training on `frames` frames.

    A multiplication and an addition count as two; the backward pass counts as twice the forward pass.
    """
    first, second = model.conv_shapes
    channels = chosen.model.conv_channels
    rows = first.output(chosen.features.bins, 0), second.output(first.output(chosen.features.bins, 0), 0)
    # Kernels of 41 x 11 and 21 x 11. The first convolution halves the number of frames, hence frames / 2 below.
    convolutions = channels * (41 * 11 * rows[0] + channels * 21 * 11 * rows[1])
    others = sum(
        w.numel() for name, w in model.named_parameters() if "weight" in name and name.startswith(("rnn", "linear"))
    )
    return 3 * 2 * frames / 2 * (convolutions + others)
