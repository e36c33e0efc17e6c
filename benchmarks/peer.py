"""A training step of deepspeech.pytorch's model beside ours: speed and peak memory on the CPU.

    python benchmarks/peer.py MODEL.py [--repeats 5] [--steps 3] [--utterances 16] [--seconds 3 12]

MODEL.py is that project's deepspeech_pytorch/model.py; its imports of other packages are replaced by empty ones. Both
models have 2 convolutions of 32 channels, 3 bidirectional GRUs of 256 units, 161 bins, and are trained on the same
utterances of noise, whose lengths are spread evenly between two bounds. A step is features, forward, CTC loss,
backward, clipping and AdamW. The forms take turns, each in a new process. The script prints for each the seconds of
audio trained on in a second (median, lowest and highest round), its ratio to the peer in the same round, and the peak
memory of the process; and how many cores other processes used. Before that it gives both models the same weights and
prints how far their log-probabilities are apart.
"""

import argparse
import importlib.util
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from unittest.mock import MagicMock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as in __main__; OpenMP reads it when torch is imported

import torch  # noqa: E402
from torch import nn, optim  # noqa: E402

import params  # noqa: E402
from benchmarks._made import Made  # noqa: E402
from benchmarks._others import Others  # noqa: E402
from speech_recognition.augment import plain  # noqa: E402
from speech_recognition.batches import Batch, collate  # noqa: E402
from speech_recognition.features import Features  # noqa: E402
from speech_recognition.model import build_model  # noqa: E402
from speech_recognition.parameters import SAMPLE_RATE, FeatureParams, ModelParams  # noqa: E402
from speech_recognition.runtime.allocator import keep_memory  # noqa: E402
from speech_recognition.training.optimizers import build_optimizer  # noqa: E402
from speech_recognition.training.step import training_step  # noqa: E402

FORMS = ("peer", "fp32", "bf16")
"""The peer in float32, and ours in each precision."""

_NAMES = (
    (r"^conv\.seq_module\.([03])\.", lambda found: f"conv.{int(found[1]) // 3}.conv."),
    (r"^conv\.seq_module\.([14])\.", lambda found: f"conv.{int(found[1]) // 3}.norm."),
    (r"^rnns\.(\d)\.batch_norm\.module\.", r"rnn.\1.norm."),
    (r"^rnns\.(\d)\.rnn\.(\w+)_reverse$", r"rnn.\1.backwards.\2"),
    (r"^rnns\.(\d)\.rnn\.", r"rnn.\1.forwards."),
    (r"^fc\.0\.module\.0\.", "norm."),
    (r"^fc\.0\.module\.1\.", "linear."),
)
"""Patterns of the names of the peer's weights, and ours for them."""


def peer_model(path: Path, units: int) -> Any:
    """Return the peer's model with bidirectional GRUs, from its own file."""

    class UniDirectionalConfig:
        """Stands for the peer's class of that name."""

    class BiDirectionalConfig:
        """Stands for the peer's class of that name."""

    names = ("pytorch_lightning", "omegaconf", "deepspeech_pytorch")
    inner = ("configs", "configs.train_config", "decoder", "validation")
    stubs: dict[str, Any] = {name: MagicMock() for name in (*names, *(f"deepspeech_pytorch.{each}" for each in inner))}
    stubs["pytorch_lightning"] = ModuleType("pytorch_lightning")
    stubs["pytorch_lightning"].LightningModule = type(
        "LightningModule", (nn.Module,), {"save_hyperparameters": lambda self: None}
    )
    stubs["omegaconf"].OmegaConf.get_type = type
    config = stubs["deepspeech_pytorch.configs.train_config"]
    config.UniDirectionalConfig, config.BiDirectionalConfig = UniDirectionalConfig, BiDirectionalConfig
    sys.modules |= stubs
    spec = importlib.util.spec_from_file_location("peer", path)
    if spec is None or spec.loader is None or not path.is_file():
        sys.exit(f"error: {path}: no Python file; give deepspeech.pytorch's model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sizes = BiDirectionalConfig()
    vars(sizes).update(hidden_size=units, hidden_layers=3, rnn_type=MagicMock(value=nn.GRU))
    torch.manual_seed(1)
    return module.DeepSpeech(
        labels=list("_'ABCDEFGHIJKLMNOPQRSTUVWXYZ "),
        model_cfg=sizes,
        precision=32,
        optim_cfg=None,
        spect_cfg=MagicMock(sample_rate=16_000, window_size=0.02),
    )


def measure(options: argparse.Namespace) -> None:
    """Train one form; print the median seconds of a step, the seconds of audio in it, and the peak memory in bytes."""
    if options.threads:
        torch.set_num_threads(options.threads)
    (low, high), count = options.seconds, options.utterances
    made = Made([round((low + (high - low) * index / max(1, count - 1)) * SAMPLE_RATE) for index in range(count)])
    part, features = collate([made[index] for index in range(count)]), Features(FeatureParams())
    model = peer_model(options.model, 256) if options.form == "peer" else our_model(options.form)
    optimizer = build_optimizer(params.mini().optimizer, model)
    step = peer_step if options.form == "peer" else our_step
    model.train()
    times = []
    for _ in range(options.steps + 1):
        begin = time.perf_counter()
        step(model, features, optimizer, part)
        times.append(time.perf_counter() - begin)
    peak, audio = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, int(part.lengths.sum()) / SAMPLE_RATE
    print(statistics.median(times[1:]), audio, peak, sum(each.numel() for each in model.parameters()))


def our_model(precision: Literal["fp32", "bf16"]) -> nn.Module:
    """Return our model of the same layers, in the memory that a run keeps."""
    keep_memory()
    sizes = ModelParams(
        rnn_layers=3,
        rnn_units=256,
        bidirectional=True,
        conv_padding=True,
        rnn_batch_norm=True,
        conv_bias=True,
        precision=precision,
    )
    return build_model(sizes, 161, seed=1)


def our_name(name: str) -> str:
    """Return our name of the peer's weight `name`."""
    for theirs, ours in _NAMES:
        name = re.sub(theirs, ours, name)
    return name


def difference(path: Path) -> float:
    """Return the largest difference of the log-probabilities of both models with the same weights.

    They evaluate four utterances of noise, of 0.9 to 3 s.
    """
    peer, ours = peer_model(path, 256).eval(), our_model("fp32").eval()
    weights = peer.state_dict().items()
    ours.load_state_dict({our_name(name): each for name, each in weights if not name.endswith("batches_tracked")})
    frames = torch.tensor([300, 250, 180, 90])
    spectrograms = torch.randn(4, 161, 300) * (torch.arange(300) < frames[:, None])[:, None]
    with torch.no_grad():
        theirs, lengths, _ = peer(spectrograms[:, None], frames)  # probabilities [b, t, symbol]
        log_probs, _ = ours(spectrograms, frames)  # [t, b, symbol]
    pairs = [(theirs[row, :size].log(), log_probs[:size, row]) for row, size in enumerate(lengths)]
    return max(float((one - other).abs().max()) for one, other in pairs)


def our_step(model: nn.Module, features: Features, optimizer: optim.Optimizer, part: Batch) -> None:
    """Run one training step of ours."""
    training_step(model, plain(features), optimizer, 5.0, [part])


def peer_step(model: Any, features: Features, optimizer: optim.Optimizer, part: Batch) -> None:
    """Run one training step of the peer's model, which takes the longest utterance first and joined targets."""
    optimizer.zero_grad()
    spectrograms, frames = features(part.waveforms, part.lengths)
    order = frames.argsort(descending=True)
    out, lengths, _ = model(spectrograms[order][:, None], frames[order])
    log_probs = out.transpose(0, 1).log_softmax(-1)
    targets = torch.cat([part.targets[row, : part.target_lengths[row]] for row in order])
    loss = model.criterion(log_probs, targets, lengths, part.target_lengths[order]) / part.utterances
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()


def main() -> None:
    """Measure all forms in turn and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", type=Path)
    add("--repeats", type=int, default=5)
    add("--steps", type=int, default=3)
    add("--utterances", type=int, default=16)
    add("--seconds", type=float, nargs=2, default=(3.0, 12.0))
    add("--threads", type=int, default=0)
    add("--form", choices=FORMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.form:
        return measure(options)
    print(f"with the same weights, log-probabilities differ by at most {difference(options.model):.1e}", flush=True)
    others, rounds = Others(), list[dict[str, list[float]]]()
    for _ in range(options.repeats):
        command = [sys.executable, __file__, *sys.argv[1:], "--form"]
        rounds.append(
            {
                form: [*map(float, subprocess.run([*command, form], stdout=subprocess.PIPE, check=True).stdout.split())]
                for form in FORMS
            }
        )
    for form in FORMS:
        rates = sorted(audio / seconds for seconds, audio, *_ in (each[form] for each in rounds))
        ratios = sorted(each["peer"][0] / each[form][0] for each in rounds)
        peak = max(each[form][2] for each in rounds)
        memory = sorted(each[form][2] / each["peer"][2] for each in rounds)
        print(
            f"{form} ({rounds[0][form][3]:,.0f} weights): {statistics.median(rates):.1f} audio seconds per second"
            f" ({rates[0]:.1f} to {rates[-1]:.1f}), {statistics.median(ratios):.2f} times the peer"
            f" ({ratios[0]:.2f} to {ratios[-1]:.2f}), peak {peak / 1e9:.2f} GB,"
            f" {statistics.median(memory):.2f} of the peer's"
        )
    print(f"other processes used {others.cores():.2f} cores")
    return None


if __name__ == "__main__":
    main()
