"""Every parameter of the benchmark, and the presets by name.

A run is described by one frozen `Params`: five sections of plain fields, each
with its meaning, unit and source under it. `train --preset NAME` picks one of
`PRESETS`, `--set section.name=value` changes a field, and every section checks
its own values, so that a `Params` that exists makes sense.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

LIBRISPEECH_FOLDER, MINI_FOLDER = "LibriSpeech_dataset", "mini_dataset"
"""Folders of the datasets, under the repository root unless --data-dir says otherwise."""

SAMPLE_RATE = 16_000
"""Samples per second of every processed recording (LibriSpeech's own rate)."""


def _check(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise ValueError(f"{name}={value}: must be {rule}")


@dataclass(frozen=True, kw_only=True)
class DataParams:
    """Which dataset, and how its utterances become batches."""

    dataset: str = LIBRISPEECH_FOLDER
    """folder of the processed dataset, under the repository root"""
    batch_size: int = 8
    """utterances in a training step over all devices (global batch size)"""
    eval_batch_size: int = 32
    """utterances in an evaluation batch; changes speed, not results"""
    order: Literal["ascending", "batch_shuffle"] = "ascending"
    """ascending: shortest first, every epoch (MLPerf reference); batch_shuffle: consecutive
    blocks of the sorted list in a shuffled order (TensorFlow's deep_speech)"""
    workers: int = 2
    """processes that read audio; 0 reads in the training process"""

    def __post_init__(self) -> None:
        _check(self.dataset != "", "data.dataset", "''", "a folder name")
        _check(1 <= self.batch_size <= 2**20, "data.batch_size", self.batch_size, "from 1 to 1048576")
        _check(1 <= self.eval_batch_size <= 2**20, "data.eval_batch_size", self.eval_batch_size, "from 1 to 1048576")
        _check(0 <= self.workers <= 64, "data.workers", self.workers, "from 0 to 64")


@dataclass(frozen=True, kw_only=True)
class FeatureParams:
    """How a waveform becomes a spectrogram."""

    kind: Literal["linear", "mel"] = "linear"
    """linear: log(1 + magnitude) of every FFT bin; mel: log power in mel bands"""
    window_seconds: float = 0.02
    """length of the Hamming window, in seconds"""
    hop_seconds: float = 0.01
    """distance between two frames, in seconds"""
    mel_bands: int = 64
    """bands of the mel spectrogram; unused when linear"""

    def __post_init__(self) -> None:
        _check(0.002 <= self.window_seconds <= 0.1, "features.window_seconds", self.window_seconds, "from 0.002 to 0.1")
        _check(
            0.001 <= self.hop_seconds <= self.window_seconds,
            "features.hop_seconds",
            self.hop_seconds,
            f"from 0.001 to features.window_seconds ({self.window_seconds})",
        )
        # With more, the lowest bands would be narrower than a bin of the FFT, and empty.
        most = self.fft_samples // 5 if self.kind == "mel" else 128
        _check(
            16 <= self.mel_bands <= most,
            "features.mel_bands",
            self.mel_bands,
            f"from 16 to {most} for windows of {self.window_seconds} s",
        )

    @property
    def window_samples(self) -> int:
        """Samples in a window; also the FFT's length."""
        return round(self.window_seconds * SAMPLE_RATE)

    @property
    def hop_samples(self) -> int:
        """Samples between two frames."""
        return round(self.hop_seconds * SAMPLE_RATE)

    @property
    def fft_samples(self) -> int:
        """Length of the FFT: the window itself, for mel bands the next power of two."""
        return 1 << (self.window_samples - 1).bit_length() if self.kind == "mel" else self.window_samples

    @property
    def bins(self) -> int:
        """Rows of the spectrogram: 161 for the reference's 20 ms window."""
        return self.mel_bands if self.kind == "mel" else self.window_samples // 2 + 1


@dataclass(frozen=True, kw_only=True)
class ModelParams:
    """DeepSpeech2: two convolutions, recurrent layers, one linear layer."""

    conv_channels: int = 32
    """output channels of both convolutions"""
    conv_padding: bool = False
    """pad the convolutions' input to keep the borders (20 and 10 bins, 5 frames each side)"""
    rnn_layers: int = 3
    """number of GRU layers"""
    rnn_units: int = 2560
    """units of each GRU layer in each direction"""
    bidirectional: bool = False
    """run each GRU in both directions and add the two outputs"""
    rnn_batch_norm: bool = False
    """BatchNorm before every GRU layer but the first"""

    def __post_init__(self) -> None:
        _check(1 <= self.conv_channels <= 1024, "model.conv_channels", self.conv_channels, "from 1 to 1024")
        _check(1 <= self.rnn_layers <= 16, "model.rnn_layers", self.rnn_layers, "from 1 to 16")
        _check(1 <= self.rnn_units <= 16384, "model.rnn_units", self.rnn_units, "from 1 to 16384")


@dataclass(frozen=True, kw_only=True)
class OptimizerParams:
    """How gradients change the weights."""

    name: Literal["sgd", "adamw"] = "sgd"
    """sgd: stochastic gradient descent with Nesterov momentum; adamw: Adam with decoupled weight decay"""
    learning_rate: float = 1e-4
    """the highest learning rate of the schedule"""
    momentum: float = 0.9
    """Nesterov momentum (sgd)"""
    beta1: float = 0.9
    """decay of the gradient's running mean (adamw)"""
    beta2: float = 0.999
    """decay of the squared gradient's running mean (adamw)"""
    epsilon: float = 1e-8
    """added to the root of the squared gradient's mean (adamw)"""
    weight_decay: float = 0.0
    """pull of the weights towards zero, per step and unit of learning rate"""
    clip_norm: float = 400.0
    """largest Euclidean norm of the gradient of a step; a longer one is scaled down to it"""
    schedule: Literal["anneal", "one_cycle"] = "anneal"
    """anneal: divide by anneal_factor after every epoch; one_cycle: linear rise, then cosine fall to 0 at the
    last step of the last epoch"""
    anneal_factor: float = 1.1
    """divisor of the learning rate after every epoch (anneal)"""
    warmup_fraction: float = 0.1
    """share of all steps in which the learning rate rises (one_cycle)"""

    def __post_init__(self) -> None:
        _check(0 < self.learning_rate <= 10, "optimizer.learning_rate", self.learning_rate, "above 0, at most 10")
        _check(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "at least 0, below 1")
        _check(0 <= self.beta1 < 1, "optimizer.beta1", self.beta1, "at least 0, below 1")
        _check(0 <= self.beta2 < 1, "optimizer.beta2", self.beta2, "at least 0, below 1")
        _check(0 < self.epsilon <= 1, "optimizer.epsilon", self.epsilon, "above 0, at most 1")
        _check(0 <= self.weight_decay <= 1, "optimizer.weight_decay", self.weight_decay, "from 0 to 1")
        _check(0 < self.clip_norm <= 1e9, "optimizer.clip_norm", self.clip_norm, "above 0, at most 1e9")
        _check(1 <= self.anneal_factor <= 1000, "optimizer.anneal_factor", self.anneal_factor, "from 1 to 1000")
        _check(0 <= self.warmup_fraction < 1, "optimizer.warmup_fraction", self.warmup_fraction, "at least 0, below 1")


@dataclass(frozen=True, kw_only=True)
class TrainingParams:
    """When a run evaluates and ends."""

    epochs: int = 10
    """passes over the training data, at most"""
    target_wer: float = 23.0
    """word error rate on val, in percent, at or below which the run ends with success"""
    evaluate_first: bool = False
    """evaluate once before the first step (epoch 0 in metrics.csv, not in the MLPerf log)"""
    sample_transcripts: int = 3
    """utterances of val whose reference and hypothesis are shown after each evaluation"""

    def __post_init__(self) -> None:
        _check(1 <= self.epochs <= 10_000, "training.epochs", self.epochs, "from 1 to 10000")
        _check(0 <= self.target_wer <= 100, "training.target_wer", self.target_wer, "from 0 to 100 (percent)")
        _check(
            0 <= self.sample_transcripts <= 100, "training.sample_transcripts", self.sample_transcripts, "from 0 to 100"
        )


@dataclass(frozen=True, kw_only=True)
class SubmissionParams:
    """Who submits the result of what: the submission_* lines of the log."""

    org: str = "reference_implementation"
    """submitting organisation"""
    platform: str = "reference_platform"
    """name of the system"""
    division: Literal["closed", "open"] = "closed"
    """closed: the preset's model and optimizer; open: anything that reaches the target"""
    status: Literal["onprem", "cloud", "research", "preview"] = "research"
    """availability of the system"""

    def __post_init__(self) -> None:
        _check(self.org.strip() != "", "submission.org", "''", "a name")
        _check(self.platform.strip() != "", "submission.platform", "''", "a name")


@dataclass(frozen=True, kw_only=True)
class Params:
    """One run, described whole."""

    preset: str
    """name of the preset that this started from"""
    data: DataParams = field(default_factory=DataParams)
    features: FeatureParams = field(default_factory=FeatureParams)
    model: ModelParams = field(default_factory=ModelParams)
    optimizer: OptimizerParams = field(default_factory=OptimizerParams)
    training: TrainingParams = field(default_factory=TrainingParams)
    submission: SubmissionParams = field(default_factory=SubmissionParams)

    def __post_init__(self) -> None:
        # The second convolution is 21 bins tall and sees every second row of the first, which is 41 tall.
        _check(
            self.model.conv_padding or self.features.bins >= 81,
            "model.conv_padding",
            self.model.conv_padding,
            f"true for spectrograms of fewer than 81 bins (features give {self.features.bins})",
        )


def reference() -> Params:
    """The MLPerf reference as it was coded in 2018 (its recipe stopped near a WER of 34)."""
    return Params(preset="reference")


def mini() -> Params:
    """A scaled DeepSpeech2 for the embedded corpus, minutes on two CPU cores."""
    return Params(
        preset="mini",
        data=DataParams(dataset=MINI_FOLDER, batch_size=16, order="batch_shuffle", workers=0),
        features=FeatureParams(kind="mel"),
        model=ModelParams(
            conv_channels=16, conv_padding=True, rnn_layers=2, rnn_units=192, bidirectional=True, rnn_batch_norm=True
        ),
        optimizer=OptimizerParams(
            name="adamw", learning_rate=2e-3, weight_decay=0.01, clip_norm=5.0, schedule="one_cycle"
        ),
    )


PRESETS: dict[str, Callable[[], Params]] = {"mini": mini, "reference": reference}
