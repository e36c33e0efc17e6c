"""Speed of training steps on made-up waveforms with LibriSpeech's lengths.

    python benchmarks/throughput.py --preset reference --precision bf16 --batch-size 256 [--device cuda] [--steps 20]
    python benchmarks/throughput.py --compare [--repeats 5]

The first command measures a preset: audio hours per hour, the share of the time spent waiting for data, peak memory,
TFLOP/s, and their share of the device's peak (`--peak-tflops`). The waveforms are noise in host memory with lengths of
0.8 to 29.7 s (mean 12.3 s), in batches of similar length whatever the preset's order.

The second compares forms of one model on the CPU: the package's own, the same with one part changed, and a plain form
of torch's packed GRU and BatchNorm. The model has 2 convolutions of 32 channels and 3 bidirectional GRUs of 256 units;
a step has 16 utterances of 3 to 12 s. The forms run alternately, each in a new process, and the script prints each
form's rate and its ratio to the plain form.
"""

import argparse
import dataclasses
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as in __main__; OpenMP reads it when torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

import params  # noqa: E402
from params import SAMPLE_RATE, Params  # noqa: E402
from speech_recognition import model as model_module  # noqa: E402
from speech_recognition.augment import Augmentation, plain  # noqa: E402
from speech_recognition.batches import Batch, Item, collate  # noqa: E402
from speech_recognition.draws import epoch_draws  # noqa: E402
from speech_recognition.features import Features  # noqa: E402
from speech_recognition.model import DeepSpeech2, build_model  # noqa: E402
from speech_recognition.orders import epoch_batches  # noqa: E402
from speech_recognition.runtime.allocator import keep_memory  # noqa: E402
from speech_recognition.runtime.devices import choose_device, use_precision  # noqa: E402
from speech_recognition.training.optimizers import build_optimizer  # noqa: E402
from speech_recognition.training.prepare import resolve_precision  # noqa: E402
from speech_recognition.training.step import ctc_loss, training_step  # noqa: E402

SYMBOLS_PER_SECOND = 14
"""Symbols of the made-up transcripts per second of audio."""
FORMS = {
    "plain": ["--plain"],
    "ours": [],
    "ours, with torch's GRU": ["--torch-gru"],
    "ours, memory given back": ["--give-memory-back"],
    "ours, bf16": ["--precision", "bf16"],
}
"""Options of this script that measure each form."""


def librispeech_lengths(count: int) -> list[int]:
    """Return ascending lengths in samples, distributed as in LibriSpeech's train-*: two thirds are near 14 s."""
    draw = np.random.default_rng(1)
    long = draw.normal(14.4, 1.4, count)
    short = draw.uniform(0.83, 14, count)
    seconds = np.where(draw.random(count) < 0.66, long, short)
    seconds[: max(1, count // 2000)] = 29.7
    return sorted((np.clip(seconds, 0.83, 29.735) * SAMPLE_RATE).astype(int).tolist())


class Made(Dataset[Item]):
    """Dataset of noise utterances with the given lengths in samples, cut from one stretch of noise."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = lengths
        self._noise = torch.randint(-3000, 3000, (max(lengths) + 1000,), dtype=torch.int16)

    def __getitem__(self, index: int) -> Item:
        size = self._lengths[index]
        text = (torch.arange(size * SYMBOLS_PER_SECOND // SAMPLE_RATE) * 7 + index) % 28 + 1
        return index, self._noise[index % 1000 :][:size].clone(), text


def measure_preset(chosen: Params, device: torch.device, steps: int, workers: int, peak_tflops: float) -> None:
    """Print the figures of `steps` training steps; three steps before them are not counted."""
    use_precision(chosen.model.precision, device)
    size = chosen.data.batch_size
    lengths = librispeech_lengths(max(4000, size * (steps + 3)))
    draws = epoch_draws(chosen.augmentation, seed=1, epoch=1, utterances=len(lengths))
    in_buckets, stretched = dataclasses.replace(chosen.data, order="buckets"), draws.stretched(torch.tensor(lengths))
    batches = epoch_batches(in_buckets, size, lengths, seed=1, epoch=1, stretched=stretched.numpy())[: steps + 3]
    features = Features(chosen.features).to(device)
    model = build_model(chosen.model, chosen.features.bins, seed=1).to(device)
    augmentation = partial(Augmentation(chosen.augmentation, features), draws=draws)
    optimizer = build_optimizer(chosen.optimizer, model)
    loaded = iter(DataLoader(Made(lengths), batch_sampler=batches, num_workers=workers, collate_fn=collate))
    waiting, begin = 0.0, 0.0
    for number in range(len(batches)):
        if number == 3:
            waiting, begin = 0.0, time.perf_counter()
        asked = time.perf_counter()
        batch: Batch = next(loaded)
        waiting += time.perf_counter() - asked
        training_step(model, augmentation, optimizer, chosen.optimizer.clip_norm, [batch])
    seconds = time.perf_counter() - begin
    audio = sum(lengths[index] for batch in batches[3:] for index in batch) / SAMPLE_RATE
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else _peak_memory()
    operations = sum(_operations(model, chosen, [lengths[index] for index in batch]) for batch in batches[3:])
    print(
        f"{chosen.preset}, {chosen.model.precision}, batch {size}, {device.type}:"
        f" {audio / seconds:.1f} audio hours per hour, step {1000 * seconds / steps:.0f} ms,"
        f" waiting {100 * waiting / seconds:.1f}%, peak memory {memory / 1e9:.2f} GB,"
        f" {operations / seconds / 1e12:.2f} TFLOP/s"
        + (f", {100 * operations / seconds / 1e12 / peak_tflops:.1f}% of the peak" if peak_tflops else "")
    )


def _operations(model: DeepSpeech2, chosen: Params, samples: Sequence[int]) -> float:
    """Return the number of operations in the matrix products of a step.

    A multiplication and an addition count as two; the backward pass counts as twice the forward pass.
    """
    frames = sum(1 + each // chosen.features.hop_samples for each in samples)
    first, second = model.conv_shapes
    channels = chosen.model.conv_channels
    rows = first.output(chosen.features.bins, 0), second.output(first.output(chosen.features.bins, 0), 0)
    # Kernels of 41 x 11 and 21 x 11. The first convolution halves the number of frames, hence frames / 2 below.
    convolutions = channels * (41 * 11 * rows[0] + channels * 21 * 11 * rows[1])
    others = sum(
        w.numel() for name, w in model.named_parameters() if "weight" in name and name.startswith(("rnn", "linear"))
    )
    return 3 * 2 * frames / 2 * (convolutions + others)


def _peak_memory() -> int:
    """Return this process's peak memory in bytes. Linux counts ru_maxrss in KiB."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Plain(nn.Module):
    """Model of the same layers in plain float32 torch: packed GRU, and BatchNorm that includes padding frames."""

    def __init__(self, sizes: params.ModelParams, bins: int) -> None:
        super().__init__()
        channels = sizes.conv_channels
        self.conv = nn.Sequential(
            nn.Conv2d(1, channels, (41, 11), (2, 2), (20, 5)),
            nn.BatchNorm2d(channels),
            nn.Hardtanh(0, 20),
            nn.Conv2d(channels, channels, (21, 11), (2, 1), (10, 5)),
            nn.BatchNorm2d(channels),
            nn.Hardtanh(0, 20),
        )
        units, inputs = sizes.rnn_units, channels * -(-bins // 4)
        self.rnn = nn.ModuleList(
            nn.GRU(units if index else inputs, units, bidirectional=True) for index in range(sizes.rnn_layers)
        )
        self.norm, self.linear = nn.BatchNorm1d(units), nn.Linear(units, 29, bias=False)

    def forward(self, spectrograms: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities and output lengths, as DeepSpeech2.forward."""
        x = self.conv(spectrograms[:, None]).flatten(1, 2).permute(2, 0, 1)
        lengths = (frames - 1) // 2 + 1
        for layer in self.rnn:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
            x = nn.utils.rnn.pad_packed_sequence(layer(packed)[0])[0]
            x = x.view(*x.shape[:2], 2, -1).sum(2)
        x = self.norm(x.flatten(0, 1)).view_as(x)
        return F.log_softmax(self.linear(x), -1), lengths


def measure_form(options: argparse.Namespace) -> None:
    """Print the median seconds of a step of one form, and the audio seconds in a step."""
    sizes = params.ModelParams(
        rnn_layers=3, rnn_units=256, bidirectional=True, conv_padding=True, precision=options.precision or "fp32"
    )
    chosen = dataclasses.replace(params.mlperf_2018(), model=sizes)
    seconds = [3 + 9 * index / 15 for index in range(16)]
    made = Made([round(each * SAMPLE_RATE) for each in seconds])
    part, features = collate([made[index] for index in range(16)]), Features(chosen.features)
    if options.torch_gru:
        model_module.gru = lambda layers, inputs, _: torch.stack(
            [layer(x)[0] for layer, x in zip(layers, inputs, strict=True)]
        )
    model = Plain(sizes, 161) if options.plain else build_model(sizes, 161, seed=1)
    optimizer = build_optimizer(params.mini().optimizer, model)
    times = []
    for _ in range(options.steps + 1):
        begin = time.perf_counter()
        if options.plain:
            _plain_step(model, features, optimizer, part)
        else:
            training_step(model, plain(features), optimizer, 5.0, [part])  # type: ignore[arg-type]
        times.append(time.perf_counter() - begin)
    print(statistics.median(times[1:]), sum(seconds))


def _plain_step(model: nn.Module, features: Features, optimizer: torch.optim.Optimizer, part: Batch) -> None:
    """Run one training step of the plain form."""
    optimizer.zero_grad()
    log_probs, lengths = model(*features(part.waveforms, part.lengths))
    ctc_loss(log_probs, lengths, part.targets, part.target_lengths).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()


def compare(repeats: int, steps: int) -> None:
    """Measure all forms alternately, `repeats` times, and print their rates and ratios."""
    rounds = [dict(_round(steps)) for _ in range(repeats)]
    for form in FORMS:
        rates = [each[form] for each in rounds]
        ratios = sorted(each[form] / each["plain"] for each in rounds)
        print(
            f"{form}: {statistics.median(rates):.1f} audio seconds per second,"
            f" {statistics.median(ratios):.2f} times the plain form ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def _round(steps: int) -> Iterator[tuple[str, float]]:
    """Yield the name and the rate, in audio seconds per second, of each form, measured in a new process."""
    for form, options in FORMS.items():
        command = [sys.executable, __file__, "--form", "--steps", str(steps), *options]
        seconds, audio = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        yield form, audio / seconds


def main() -> None:
    """Measure a preset, or compare the forms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--preset", default="reference", choices=list(params.PRESETS))
    add("--precision", choices=["fp32", "tf32", "bf16"])
    add("--batch-size", type=int)
    add("--device", default="auto")
    add("--steps", type=int, default=5)
    add("--workers", type=int, default=2)
    add("--peak-tflops", type=float, default=0.0, help="peak TFLOP/s of the device in this precision")
    add("--compare", action="store_true")
    add("--repeats", type=int, default=5)
    for name in ("--form", "--plain", "--torch-gru", "--give-memory-back"):
        add(name, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compare:
        return compare(options.repeats, options.steps)
    if not (options.give_memory_back or options.plain):
        keep_memory()
    if options.form:
        return measure_form(options)
    chosen, device = params.PRESETS[options.preset](), choose_device(options.device)
    model = dataclasses.replace(chosen.model, precision=options.precision or chosen.model.precision)
    data = dataclasses.replace(chosen.data, batch_size=options.batch_size or chosen.data.batch_size)
    chosen = resolve_precision(dataclasses.replace(chosen, model=model, data=data), device, None)
    measure_preset(chosen, device, options.steps, options.workers, options.peak_tflops)
    return None


if __name__ == "__main__":
    main()
