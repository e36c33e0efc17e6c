"""Forms of one model on the CPU, measured in turns: `throughput.py --compare` (not a benchmark itself)."""

import argparse
import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import params
from benchmarks._made import Made
from speech_recognition.augment import plain
from speech_recognition.batches import Batch, collate
from speech_recognition.features import Features
from speech_recognition.model import build_model
from speech_recognition.parameters import SAMPLE_RATE, ModelParams
from speech_recognition.training.optimizers import build_optimizer
from speech_recognition.training.step import ctc_loss, training_step

SCRIPT = Path(__file__).with_name("throughput.py")
"""Script that measures one form in a process of its own."""
FORMS = {
    "plain": ["--plain"],
    "ours": [],
    "ours, memory given back": ["--give-memory-back"],
    "ours, bf16": ["--precision", "bf16"],
}
"""Options of throughput.py that measure each form."""


class Plain(nn.Module):
    """Model of the same layers in plain float32 torch: packed GRU, and BatchNorm that includes padding frames."""

    def __init__(self, sizes: ModelParams, bins: int) -> None:
        """Make the model for spectrograms of `bins` rows."""
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
    sizes = ModelParams(
        rnn_layers=3, rnn_units=256, bidirectional=True, conv_padding=True, precision=options.precision or "fp32"
    )
    chosen = dataclasses.replace(params.mlperf_2018(), model=sizes)
    seconds = [3 + 9 * index / 15 for index in range(16)]
    made = Made([round(each * SAMPLE_RATE) for each in seconds])
    part, features = collate([made[index] for index in range(16)]), Features(chosen.features)
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
        command = [sys.executable, str(SCRIPT), "--form", "--steps", str(steps), *options]
        seconds, audio = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        yield form, audio / seconds
