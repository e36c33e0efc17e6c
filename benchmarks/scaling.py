"""Predicted time of a training step of `reference` on any number of GPUs. It calculates and measures nothing.

    python benchmarks/scaling.py [--gpus 64] [--per-gpu-batch 64] [--card h200] [--network-gbps 100]
    python benchmarks/scaling.py --preset clean_small --gpus 1 --per-gpu-batch 32
    python benchmarks/scaling.py --gpus 64 --measured 16:70 128:139
    python benchmarks/scaling.py --markdown

The first form prints the parts of one step, and the time of an epoch and of a whole run; the second does so for the
other preset of this model. The third replaces the assumed times of one GPU by measured ones, each for a batch of so
many utterances (`throughput.py`). The fourth prints the table of docs/SCALING.md.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

import params  # noqa: E402
from speech_recognition.batch_norm import MaskedBatchNorm  # noqa: E402
from speech_recognition.model import DeepSpeech2  # noqa: E402

SECONDS = 12.3
"""Mean length of an utterance, in seconds, for which the costs of a card are given."""

TRAINING_SETS = {"reference": (281_241, SECONDS), "clean_small": (28_539, 12.7)}
"""Presets of this model: the utterances of their training sets, and their mean length in seconds."""

PER_NODE = 8
"""GPUs of a node, each with a network card of its own."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Costs of `reference` on one GPU in bfloat16. The cards' values are assumed, from arithmetic and data sheets."""

    frame_us: float
    """Microseconds of an output frame of a recurrent layer, forwards or backwards: its weights pass once through the
    GPU. All frames of all layers are computed one after the other, whatever the batch."""
    frame_utterance_us: float = 0.04
    """Microseconds that each utterance adds to such a frame."""
    utterance_ms: float = 0.48
    """Milliseconds of all other work on an utterance: features, convolutions, BatchNorm, products of inputs, CTC."""
    update_ms: float = 4.0
    """Milliseconds of clipping and of the optimizer."""
    bus_gbs: float = 350.0
    """Bandwidth of a sum over the GPUs of a node as NCCL counts it, in GB/s."""


CARDS = {"h100": Card(frame_us=15.0), "h200": Card(frame_us=11.0)}

GRU_SHARE = 0.5
"""Share of the GRUs in the other work on an utterance."""
BACKWARD_SHARE = 2 / 3
"""Share of the backward pass in the other work on an utterance; of the recurrence it is a half."""
NETWORK_SHARE = 7 / 8
"""Share of the network's rate that NCCL reaches."""
BUCKET_BYTES = 64 * 2**20
"""Gradients in one message (training/parallel.py)."""
NODE_US, HOP_US = 30.0, 5.0
"""Microseconds of a short message: within a node, and for each step up or down a tree of nodes."""
NORM_MESSAGES, OTHER_MESSAGES = 3, 1
"""Short messages of a step: for each BatchNorm layer (two forwards, one backwards), and for loss and signals."""


@dataclass(frozen=True)
class Layer:
    """What the backward pass computes before it can send some gradients."""

    bytes: int
    """Size of the gradients."""
    ms: float
    """Time of the backward pass through the layer."""


class Simulation:
    """A step of a preset on `gpus` GPUs with `batch` utterances each."""

    def __init__(self, card: Card, gpus: int, batch: int, network_gbps: float, preset: str = "reference") -> None:
        """Compute the parts of the step."""
        chosen, (self.utterances, self.seconds) = params.PRESETS[preset](), TRAINING_SETS[preset]
        with torch.device("meta"):  # shapes without memory
            model = DeepSpeech2(chosen.model, chosen.features.bins)
        self.gpus, self.batch, self.epochs, nodes = gpus, batch, chosen.training.epochs, -(-gpus // PER_NODE)
        frames = model.output_lengths(round(self.seconds * 100) + 1)
        recurrence = frames * (card.frame_us + batch * card.frame_utterance_us) / 1000  # of a layer, in one direction
        other = batch * card.utterance_ms * self.seconds / SECONDS
        count = len(model.rnn)
        self.compute = 2 * count * recurrence + other + card.update_ms
        in_layers = other * BACKWARD_SHARE
        of_gru, of_conv = in_layers * GRU_SHARE / count, in_layers * (1 - GRU_SHARE)
        # In the order of the backward pass. A layer's gradients are ready when its backward pass ends.
        self.layers = [Layer(_bytes(model.linear) + _bytes(model.norm), 0.0)]
        self.layers += [Layer(_bytes(layer), recurrence + of_gru) for layer in reversed(model.rnn)]
        self.layers += [Layer(_bytes(model.conv), of_conv)]
        across = NETWORK_SHARE * network_gbps / 8 * PER_NODE
        self.bandwidth = card.bus_gbs if nodes == 1 else min(card.bus_gbs, across)
        self.message_ms = (NODE_US + 2 * HOP_US * math.ceil(math.log2(nodes))) / 1000 if gpus > 1 else 0.0
        norms = sum(isinstance(module, MaskedBatchNorm) for module in model.modules())
        self.short_messages = (norms * NORM_MESSAGES + OTHER_MESSAGES) * self.message_ms

    def _sum_ms(self, size: int) -> float:
        """Return the time to sum `size` bytes over all GPUs by rings."""
        sent = 2 * (self.gpus - 1) / self.gpus * size
        return sent / self.bandwidth / 1e6 + math.ceil(size / BUCKET_BYTES) * self.message_ms

    @property
    def gradients(self) -> float:
        """Time that the messages of the gradients take, in ms."""
        return sum(self._sum_ms(layer.bytes) for layer in self.layers)

    @property
    def waiting(self) -> float:
        """Time from the end of the backward pass to the end of the last message of gradients, in ms."""
        now = free = 0.0
        for layer in self.layers:
            now += layer.ms
            free = max(now, free) + self._sum_ms(layer.bytes)
        return free - now

    @property
    def step(self) -> float:
        """Time of the step, in ms."""
        return self.compute + self.short_messages + self.waiting

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return -(-self.utterances // (self.gpus * self.batch))

    @property
    def epoch_s(self) -> float:
        """Time of an epoch's training, in seconds."""
        return self.steps * self.step / 1000


def _bytes(module: torch.nn.Module) -> int:
    return sum(4 * weight.numel() for weight in module.parameters())


def fitted(card: Card, measured: Sequence[tuple[int, float]]) -> Card:
    """Return the card with the line through measured steps: what a batch of 0 would take counts as recurrence."""
    batches, times = zip(*measured, strict=True)
    mean, middle = sum(batches) / len(batches), sum(times) / len(times)
    slope = sum((b - mean) * (t - middle) for b, t in measured) / sum((b - mean) ** 2 for b in batches)
    plain = replace(card, frame_us=0.0, frame_utterance_us=0.0, utterance_ms=slope, update_ms=0.0)
    one_us = Simulation(replace(plain, frame_us=1.0, utterance_ms=0.0), 1, 1, 400.0).compute
    return replace(plain, frame_us=(middle - slope * mean) / one_us)


TABLE = [(1, 128), (8, 16), (8, 128), (16, 64), (64, 16), (64, 64), (512, 16)]
"""GPUs, and utterances on each, of the rows of docs/SCALING.md."""


def markdown(card: Card, network_gbps: float) -> str:
    """Return the table of docs/SCALING.md."""
    rows = [
        "| GPUs x utterances | global batch | step, ms | waiting for messages, ms | without overlap, ms |"
        " steps per epoch | epoch, s | efficiency |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for gpus, batch in TABLE:
        each = Simulation(card, gpus, batch, network_gbps)
        rows.append(
            f"| {gpus} x {batch} | {gpus * batch:,} | {each.step:.0f} | {each.waiting + each.short_messages:.1f} |"
            f" {each.gradients + each.short_messages:.1f} | {each.steps:,} | {each.epoch_s:.3g} |"
            f" {efficiency(each, card):.0%} |"
        )
    return "\n".join(rows)


def efficiency(simulated: Simulation, card: Card) -> float:
    """Return the utterances per second of each GPU, as a share of those of one GPU alone with 128 utterances."""
    alone = Simulation(card, 1, 128, 400.0)
    return simulated.batch / simulated.step / (alone.batch / alone.step)


def _measured(text: str) -> tuple[int, float]:
    batch, _, time = text.partition(":")
    return int(batch), float(time)


def main() -> None:
    """Print the parts of a step, or the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=TRAINING_SETS, default="reference")
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--per-gpu-batch", type=int, default=128)
    parser.add_argument("--network-gbps", type=float, default=400.0, help="of each GPU's network card, in Gb/s")
    parser.add_argument("--card", choices=CARDS, default="h100")
    parser.add_argument("--measured", type=_measured, nargs="+", metavar="UTTERANCES:MS", help="two or more")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    if options.measured and len({batch for batch, _ in options.measured}) < 2:
        parser.error("--measured: give the steps of at least two batch sizes, such as 16:70 128:140")
    card = fitted(CARDS[options.card], options.measured) if options.measured else CARDS[options.card]
    print("predicted, not measured:\n")
    if options.markdown:
        print(markdown(card, options.network_gbps))
        return
    each = Simulation(card, options.gpus, options.per_gpu_batch, options.network_gbps, options.preset)
    hours, share = each.gpus * each.batch * each.seconds / each.step * 1000, efficiency(each, card)
    print(f"computing       {each.compute:7.1f} ms")
    print(f"short messages  {each.short_messages:7.1f} ms")
    print(f"gradients       {each.gradients:7.1f} ms, of which {each.waiting:.1f} ms after the backward pass")
    print(f"step            {each.step:7.1f} ms, {hours:,.0f} audio hours per hour, efficiency {share:.0%}")
    print(f"epoch           {each.epoch_s:7.1f} s in {each.steps:,} steps")
    print(f"run             {each.epochs * each.epoch_s / 60:7.1f} min of training in {each.epochs} epochs")


if __name__ == "__main__":
    main()
