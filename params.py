"""Every parameter of the benchmark, and the presets by name.

One frozen `Params` describes a run: seven sections of plain fields, each with its meaning, unit and source under it.
`train --preset NAME` picks one of `PRESETS`, `--set section.name=value` changes a field. Every section checks its
values when it is made, so a `Params` is always valid.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, get_type_hints

LIBRISPEECH_FOLDER, MINI_FOLDER = "LibriSpeech_dataset", "mini_dataset"
"""Folders of the datasets, under the repository root unless --data-dir names a different place."""

SAMPLE_RATE = 16_000
"""Sampling rate of every processed recording, in Hz (LibriSpeech's own)."""


def _check(holds: bool, name: str, value: object, rule: object) -> None:
    if not holds:
        raise ValueError(f"{name}={value}: must be {rule}")


@dataclass(frozen=True)
class Range:
    """Bounds of a number, shown in the help; `above` excludes the number `least`, `below` the number `most`."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Return whether `value` is within the bounds; NaN is not."""
        inside = self.least <= value <= self.most
        return inside and not (self.above and value == self.least) and not (self.below and value == self.most)

    def __str__(self) -> str:
        if self.above or self.below:
            start, end = "above" if self.above else "at least", "below" if self.below else "at most"
            return f"{start} {self.least:g}, {end} {self.most:g}"
        return f"from {self.least} to {self.most}"


Count = Annotated[int, Range(1, 2**20)]
Share = Annotated[float, Range(0, 1)]


class Section:
    """Base of the sections, which checks each value against its Range, then the values against each other."""

    _name: ClassVar[str]

    def __init_subclass__(cls, name: str) -> None:
        cls._name = name

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            for bounds in getattr(hint, "__metadata__", ()):
                value = getattr(self, name)
                _check(value is None or bounds.holds(value), f"{self._name}.{name}", value, bounds)
        self._check_together()

    def _check_together(self) -> None:
        """Raise ValueError if values contradict each other."""


@dataclass(frozen=True, kw_only=True)
class DataParams(Section, name="data"):
    """Parameters of the dataset and of its division into batches."""

    dataset: str = LIBRISPEECH_FOLDER
    """folder of the processed dataset, under the repository root"""
    batch_size: Count = 8
    """utterances in a training step over all devices (global batch size)"""
    eval_batch_size: Count = 32
    """utterances in an evaluation batch; changes speed, not results"""
    longest_seconds: Annotated[float, Range(0, 1_000_000)] = 0.0
    """training utterances longer than this, in seconds, are left out and named in the log; 0 keeps all"""
    batch_seconds: Annotated[float, Range(0, 1_000_000)] = 0.0
    """largest number of seconds of audio in a training step, padding included; 0 sets no limit"""
    accumulation_steps: Count = 1
    """parts into which a training step is split to save memory; BatchNorm sees one part at a time"""
    order: Literal["ascending", "batch_shuffle", "sorta_grad", "buckets"] = "ascending"
    """ascending: shortest first in every epoch (MLPerf 2018); batch_shuffle: batches of the
    sorted list in random order (TensorFlow's deep_speech); sorta_grad: ascending in the first epoch, then
    batch_shuffle; buckets: utterances of similar length shuffled, then batches"""
    bucket_batches: Count = 16
    """batches in a bucket of utterances of similar length (only for buckets)"""
    workers: Annotated[int, Range(0, 64)] = 2
    """processes that read audio; 0 reads in the training process"""

    def _check_together(self) -> None:
        _check(self.dataset != "", "data.dataset", "''", "a folder name")
        _check(
            self.batch_size % self.accumulation_steps == 0,
            "data.accumulation_steps",
            self.accumulation_steps,
            f"a divisor of data.batch_size ({self.batch_size})",
        )


@dataclass(frozen=True, kw_only=True)
class FeatureParams(Section, name="features"):
    """Parameters of the spectrogram."""

    kind: Literal["linear", "power", "mel", "mfcc"] = "linear"
    """linear: log(1 + magnitude) of every FFT bin, samples scaled to 32 bits (MLPerf 2018); power: log of the
    spectral density in every FFT bin (TensorFlow); mel: log power in mel bands; mfcc: the first cosine coefficients
    of mel"""
    window: Literal["hamming", "hann"] = "hamming"
    """shape of the window"""
    window_seconds: Annotated[float, Range(0.002, 0.1)] = 0.02
    """length of the window, in seconds"""
    hop_seconds: Annotated[float, Range(0.001, 0.1)] = 0.01
    """time between the starts of two frames, in seconds"""
    mel_bands: Annotated[int, Range(16, 128)] = 64
    """bands of the mel spectrogram (only for mel, mfcc)"""
    mfcc_coefficients: Annotated[int, Range(1, 128)] = 13
    """coefficients that are kept (only for mfcc)"""
    normalize: Literal["utterance", "bin"] = "utterance"
    """utterance: scale the whole spectrogram to mean 0 and standard deviation 1 (MLPerf 2018); bin: each of its
    rows (TensorFlow)"""

    def _check_together(self) -> None:
        _check(
            self.hop_seconds <= self.window_seconds,
            "features.hop_seconds",
            self.hop_seconds,
            f"at most features.window_seconds ({self.window_seconds})",
        )
        # With more bands, the lowest would be narrower than a bin of the FFT, and empty.
        most = self.fft_samples // 5
        _check(
            not self._banded or self.mel_bands <= most,
            "features.mel_bands",
            self.mel_bands,
            f"at most {most} for windows of {self.window_seconds} s",
        )
        _check(
            self.mfcc_coefficients <= self.mel_bands,
            "features.mfcc_coefficients",
            self.mfcc_coefficients,
            f"at most features.mel_bands ({self.mel_bands})",
        )

    @property
    def _banded(self) -> bool:
        return self.kind in ("mel", "mfcc")

    @property
    def window_samples(self) -> int:
        """Samples in a window."""
        return round(self.window_seconds * SAMPLE_RATE)

    @property
    def hop_samples(self) -> int:
        """Samples between two frames."""
        return round(self.hop_seconds * SAMPLE_RATE)

    @property
    def fft_samples(self) -> int:
        """Length of the FFT in samples: that of the window; for mel bands, the next power of two."""
        return 1 << (self.window_samples - 1).bit_length() if self._banded else self.window_samples

    @property
    def bins(self) -> int:
        """Rows of the spectrogram: 161 for the reference's 20 ms window."""
        if self.kind == "mfcc":
            return self.mfcc_coefficients
        return self.mel_bands if self.kind == "mel" else self.window_samples // 2 + 1


@dataclass(frozen=True, kw_only=True)
class AugmentationParams(Section, name="augmentation"):
    """Random changes to training utterances, drawn for each utterance and epoch. The defaults change nothing."""

    tempo_min: Annotated[float, Range(0.5, 2.0)] = 1.0
    """lowest tempo, as a factor; the pitch is kept"""
    tempo_max: Annotated[float, Range(0.5, 2.0)] = 1.0
    """highest tempo, as a factor"""
    gain_min_db: Annotated[float, Range(-60.0, 60.0)] = 0.0
    """lowest gain, in dB"""
    gain_max_db: Annotated[float, Range(-60.0, 60.0)] = 0.0
    """highest gain, in dB"""
    speed_min: Annotated[float, Range(0.5, 2.0)] = 1.0
    """lowest speed, as a factor; changes pitch and tempo"""
    speed_max: Annotated[float, Range(0.5, 2.0)] = 1.0
    """highest speed, as a factor"""
    noise_folder: str = ""
    """folder of recordings to add as noise; empty adds none"""
    noise_probability: Share = 0.4
    """share of the utterances that get noise (only with noise_folder)"""
    noise_min_db: Annotated[float, Range(-30.0, 100.0)] = 5.0
    """lowest signal-to-noise ratio, in dB (only with noise_folder)"""
    noise_max_db: Annotated[float, Range(-30.0, 100.0)] = 25.0
    """highest signal-to-noise ratio, in dB (only with noise_folder)"""
    frequency_masks: Annotated[int, Range(0, 1000)] = 0
    """frequency masks of SpecAugment (MLPerf's RNN-T: 2)"""
    frequency_mask_min: Annotated[int, Range(0, 1024)] = 0
    """narrowest frequency mask, in bins"""
    frequency_mask_max: Annotated[int, Range(0, 1024)] = 20
    """widest frequency mask, in bins"""
    time_masks: Annotated[int, Range(0, 1000)] = 0
    """time masks of SpecAugment (MLPerf's RNN-T: 10)"""
    time_mask_min: Share = 0.0
    """narrowest time mask, as a share of the utterance"""
    time_mask_max: Share = 0.03
    """widest time mask, as a share of the utterance"""
    pictures: Annotated[int, Range(0, 1000)] = 0
    """training utterances whose spectrograms, before and after augmentation, are drawn as PNG files
    when the run ends"""

    def _check_together(self) -> None:
        for name in ("tempo_{}", "speed_{}", "gain_{}_db", "noise_{}_db", "frequency_mask_{}", "time_mask_{}"):
            low, high = name.format("min"), name.format("max")
            below, above = getattr(self, low), getattr(self, high)
            _check(below <= above, f"augmentation.{high}", above, f"at least augmentation.{low} ({below})")

    @property
    def changes_tempo(self) -> bool:
        """True if the tempo of utterances changes."""
        return (self.tempo_min, self.tempo_max) != (1.0, 1.0)

    @property
    def changes_speed(self) -> bool:
        """True if the speed of utterances changes."""
        return (self.speed_min, self.speed_max) != (1.0, 1.0)

    @property
    def active(self) -> bool:
        """True if anything changes at all."""
        return self.changes_tempo or self.changes_waveforms or self.frequency_masks > 0 or self.time_masks > 0

    @property
    def changes_waveforms(self) -> bool:
        """True if speed, gain or noise change waveforms before the spectrogram."""
        return self.changes_speed or (self.gain_min_db, self.gain_max_db) != (0.0, 0.0) or self.noise_folder != ""


@dataclass(frozen=True, kw_only=True)
class ModelParams(Section, name="model"):
    """Sizes of DeepSpeech2: two convolutions, recurrent layers, one linear layer."""

    conv_channels: Annotated[int, Range(1, 1024)] = 32
    """output channels of both convolutions"""
    conv_padding: bool = False
    """pad the inputs of the convolutions on each side by half a kernel (20 and 10 bins, 5 frames)"""
    conv_bias: bool = True
    """bias in the convolutions"""
    activation_limit: Annotated[float, Range(0, 1_000_000, above=True)] = 20.0
    """upper limit of the clipped ReLU (Hardtanh) after each convolution"""
    activation_before_norm: bool = False
    """apply the clipped ReLU before BatchNorm (TensorFlow), not after it (paper, MLPerf 2018)"""
    rnn_type: Literal["gru", "lstm", "rnn"] = "gru"
    """kind of the recurrent layers: gru, lstm or rnn (the plain one, with tanh)"""
    rnn_layers: Annotated[int, Range(1, 16)] = 3
    """number of recurrent layers"""
    rnn_units: Annotated[int, Range(1, 16384)] = 2560
    """units of each recurrent layer in each direction"""
    bidirectional: bool = False
    """run each recurrent layer in both directions"""
    merge: Literal["sum", "concat"] = "sum"
    """how the outputs of the two directions are combined (only if bidirectional)"""
    rnn_batch_norm: bool = False
    """apply BatchNorm before every recurrent layer but the first"""
    linear_bias: bool = False
    """bias in the last layer"""
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "fp32"
    """fp32: all in float32; tf32: products with mantissas of 10 bits (GPUs only); bf16: convolutions and
    products in bfloat16; weights, sums, BatchNorm, loss and optimizer in float32; auto: bf16 if the
    device multiplies it in hardware, else fp32"""
    batch_norm_momentum: Annotated[float, Range(0, 1, above=True)] = 0.1
    """weight of the newest batch in BatchNorm's running statistics"""
    batch_norm_scale: Literal["ones", "uniform"] = "ones"
    """initial scale of BatchNorm: ones, or drawn uniformly from 0 to 1 (torch before 1.2, in 2018)"""


@dataclass(frozen=True, kw_only=True)
class OptimizerParams(Section, name="optimizer"):
    """Parameters of the optimizer and of its learning rate."""

    name: Literal["sgd", "adam", "adamw", "lamb"] = "sgd"
    """sgd: stochastic gradient descent with Nesterov momentum; adam: Adam; adamw: Adam with decoupled weight decay;
    lamb: adamw with steps in proportion to each tensor's norm, for batches of 1,024 and more"""
    learning_rate: Annotated[float, Range(0, 10, above=True)] = 1e-4
    """highest learning rate of the schedule"""
    momentum: Annotated[float, Range(0, 1, below=True)] = 0.9
    """Nesterov momentum (only for sgd)"""
    beta1: Annotated[float, Range(0, 1, below=True)] = 0.9
    """decay of the gradient's running mean (not for sgd)"""
    beta2: Annotated[float, Range(0, 1, below=True)] = 0.999
    """decay of the squared gradient's running mean (not for sgd)"""
    epsilon: Annotated[float, Range(0, 1, above=True)] = 1e-8
    """added to the root of the squared gradient's running mean (not for sgd)"""
    weight_decay: Share = 0.0
    """strength of the pull towards zero: sgd and adam add it times the weights to the gradient; adamw shrinks the
    weights in each step by it times the learning rate; lamb adds it times the weights to Adam's step"""
    clip_norm: Annotated[float, Range(0, 1e9, above=True)] = 400.0
    """largest Euclidean norm of a step's gradient; a larger one is scaled down to it"""
    schedule: Literal["anneal", "one_cycle", "warmup_cosine"] = "anneal"
    """anneal: divide by anneal_factor after every epoch; one_cycle: linear rise over warmup_fraction of all steps, then
    cosine fall towards 0; warmup_cosine: linear rise over warmup_steps, then cosine fall to end_learning_rate"""
    anneal_factor: Annotated[float, Range(1, 1000)] = 1.1
    """divisor of the learning rate after every epoch (only for anneal)"""
    warmup_fraction: Annotated[float, Range(0, 1, below=True)] = 0.1
    """share of all steps in which the learning rate rises (only for one_cycle)"""
    warmup_steps: Annotated[int, Range(0, 10**9)] = 1000
    """steps in which the learning rate rises (only for warmup_cosine)"""
    end_learning_rate: Annotated[float, Range(0, 10)] = 0.0
    """learning rate at the end of the cosine fall (only for warmup_cosine)"""

    def _check_together(self) -> None:
        _check(
            self.end_learning_rate <= self.learning_rate,
            "optimizer.end_learning_rate",
            self.end_learning_rate,
            f"at most optimizer.learning_rate ({self.learning_rate})",
        )


@dataclass(frozen=True, kw_only=True)
class TrainingParams(Section, name="training"):
    """Parameters of evaluations, checkpoints and the end of a run."""

    epochs: Annotated[int, Range(1, 10_000)] = 10
    """passes over the training data, at most"""
    target_wer: Annotated[float, Range(0, 100)] = 23.0
    """word error rate on val, in percent; the run succeeds and ends when it is at or below this"""
    evaluate_first: bool = False
    """evaluate once before the first step (epoch 0 in metrics.csv, absent from the MLPerf log)"""
    save_minutes: Annotated[float, Range(0, 1_000_000)] = 10.0
    """minutes between two checkpoints within an epoch; 0 saves only after evaluations"""
    save_steps: Annotated[int, Range(0, 10**9)] = 0
    """steps between two checkpoints within an epoch; 0 leaves this to save_minutes"""
    max_skipped: Annotated[int, Range(1, 10**9)] = 20
    """skipped steps in a row (loss or gradient not finite) after which training counts as diverged"""
    sample_transcripts: Annotated[int, Range(0, 100)] = 3
    """utterances of val that are shown after each evaluation with reference and hypothesis, except on a terminal"""


@dataclass(frozen=True, kw_only=True)
class SubmissionParams(Section, name="submission"):
    """Values of the submission_* lines of the log."""

    org: str = "reference_implementation"
    """submitting organisation"""
    platform: str = "reference_platform"
    """name of the system"""
    division: Literal["closed", "open"] = "closed"
    """closed: data, model and recipe are the benchmark's (mlperf/rules/benchmarks.yaml); open: they may be any"""
    status: Literal["onprem", "cloud", "research", "preview"] = "research"
    """availability of the system"""

    def _check_together(self) -> None:
        _check(self.org.strip() != "", "submission.org", "''", "a name")
        _check(self.platform.strip() != "", "submission.platform", "''", "a name")


@dataclass(frozen=True, kw_only=True)
class Stage(Section, name="stages"):
    """Values that replace a run's own from `first_epoch` on."""

    first_epoch: Annotated[int, Range(1, 10_000)]
    """first epoch of the stage, counted from 1"""
    batch_size: Count
    """replaces data.batch_size"""
    momentum: Annotated[float, Range(0, 1, below=True)]
    """replaces optimizer.momentum"""
    anneal_factor: Annotated[float, Range(1, 1000)]
    """replaces optimizer.anneal_factor"""
    learning_rate: Annotated[float | None, Range(0, 10, above=True)] = None
    """learning rate of the first epoch; None continues from the epoch before"""


@dataclass(frozen=True, kw_only=True)
class Params:
    """All parameters of one run."""

    preset: str
    """preset from which the parameters were made"""
    data: DataParams = field(default_factory=DataParams)
    features: FeatureParams = field(default_factory=FeatureParams)
    augmentation: AugmentationParams = field(default_factory=AugmentationParams)
    model: ModelParams = field(default_factory=ModelParams)
    optimizer: OptimizerParams = field(default_factory=OptimizerParams)
    training: TrainingParams = field(default_factory=TrainingParams)
    submission: SubmissionParams = field(default_factory=SubmissionParams)
    stages: tuple[Stage, ...] = ()
    """later stages of the recipe, in order; --set cannot change them"""

    def __post_init__(self) -> None:
        # The second convolution is 21 bins tall and sees every second row of the first, which is 41 tall.
        _check(
            self.model.conv_padding or self.features.bins >= 81,
            "model.conv_padding",
            self.model.conv_padding,
            f"true for spectrograms of fewer than 81 bins (the features have {self.features.bins})",
        )
        for stage in self.stages:
            _check(
                stage.batch_size % self.data.accumulation_steps == 0,
                "data.accumulation_steps",
                self.data.accumulation_steps,
                f"a divisor of every stage's batch size ({stage.batch_size})",
            )

    def stage(self, epoch: int) -> Stage:
        """Return the stage that `epoch`, counted from 1, belongs to."""
        own = Stage(
            first_epoch=1,
            batch_size=self.data.batch_size,
            momentum=self.optimizer.momentum,
            anneal_factor=self.optimizer.anneal_factor,
            learning_rate=self.optimizer.learning_rate,
        )
        return [stage for stage in (own, *self.stages) if stage.first_epoch <= epoch][-1]


def mini() -> Params:
    """Return a scaled DeepSpeech2 for the embedded corpus, which trains in minutes on two CPU cores."""
    return Params(
        preset="mini",
        data=DataParams(dataset=MINI_FOLDER, batch_size=16, order="batch_shuffle", workers=0),
        # A hop of 10 ms would double the cost of an epoch; with one of 20 ms, runs level out above 23.0.
        features=FeatureParams(kind="mel", window_seconds=0.032, hop_seconds=0.016),
        model=ModelParams(
            conv_channels=16, conv_padding=True, rnn_layers=2, rnn_units=192, bidirectional=True, rnn_batch_norm=True
        ),
        # With a rise over one epoch instead of two, the epochs to 23.0 spread twice as far: runs of luck need 4.
        optimizer=OptimizerParams(
            name="adamw",
            learning_rate=3e-3,
            weight_decay=0.01,
            clip_norm=5.0,
            schedule="one_cycle",
            warmup_fraction=0.2,
        ),
    )


_OPEN = SubmissionParams(division="open")
"""Division of the presets whose model or recipe is not a benchmark's (mlperf/rules/benchmarks.yaml)."""

_AUGMENTATION_2018 = AugmentationParams(tempo_min=0.85, tempo_max=1.15, gain_min_db=-6.0, gain_max_db=8.0)
"""Ranges of the `sox tempo` and `gain` that the 2018 reference's data_loader.py drew uniformly."""


_MODEL_2018 = ModelParams(batch_norm_scale="uniform")
"""Model of the 2018 reference, whose torch drew BatchNorm's scale at random."""


def mlperf_2018() -> Params:
    """Return MLPerf's model and recipe of 2018, which stopped near a WER of 34 (a mean over utterances).

    docs/BENCHMARK.md lists what the code of 2018 did differently.
    """
    return Params(preset="mlperf_2018", augmentation=_AUGMENTATION_2018, model=_MODEL_2018, submission=_OPEN)


def reference() -> Params:
    """Return MLPerf's model of 2018 with a recipe meant to reach a WER of 23.0 within ten epochs of LibriSpeech.

    Nobody has run it on the whole of LibriSpeech; the README says what it is based on.
    """
    return Params(
        preset="reference",
        data=DataParams(batch_size=128, order="buckets"),
        augmentation=_AUGMENTATION_2018,
        model=ModelParams(precision="auto"),
        optimizer=OptimizerParams(
            name="adamw",
            learning_rate=5e-4,
            weight_decay=0.01,
            clip_norm=5.0,
            schedule="warmup_cosine",
            warmup_steps=2000,
        ),
    )


def tensorflow() -> Params:
    """Return the TensorFlow model garden's deep_speech, with the kernels' axes corrected to those of the paper.

    docs/BENCHMARK.md lists the differences.
    """
    return Params(
        preset="tensorflow",
        data=DataParams(batch_size=128, order="sorta_grad", longest_seconds=27.0),
        features=FeatureParams(kind="power", window="hann", normalize="bin"),
        model=ModelParams(
            conv_padding=True,
            conv_bias=False,
            activation_limit=6.0,
            activation_before_norm=True,
            rnn_layers=5,
            rnn_units=800,
            bidirectional=True,
            merge="concat",
            rnn_batch_norm=True,
            linear_bias=True,
            batch_norm_momentum=0.003,
        ),
        optimizer=OptimizerParams(name="adam", learning_rate=5e-4, anneal_factor=1.0, clip_norm=1e9),
        submission=_OPEN,
    )


_ORIGINAL_PAPER = (
    Stage(first_epoch=5, batch_size=16, momentum=0.99, anneal_factor=1.2),
    Stage(first_epoch=7, batch_size=16, momentum=0.90, anneal_factor=1.01),
)
"""Stages of mlcommons/inference's quality table (its params.py), which follow four epochs of `mlperf_2018`."""

_AGGRESSIVE = Stage(first_epoch=11, batch_size=16, momentum=0.85, anneal_factor=1.01, learning_rate=3e-4)


def original_paper() -> Params:
    """Return the quality table's run of ten epochs: `mlperf_2018`, then two stages called "original paper"."""
    return Params(
        preset="original_paper",
        augmentation=_AUGMENTATION_2018,
        model=_MODEL_2018,
        submission=_OPEN,
        stages=_ORIGINAL_PAPER,
    )


def aggressive_lr() -> Params:
    """Return the quality table's run of twenty epochs: `original_paper`, then a stage called "aggressive LR"."""
    return Params(
        preset="aggressive_lr",
        augmentation=_AUGMENTATION_2018,
        model=_MODEL_2018,
        training=TrainingParams(epochs=20),
        submission=_OPEN,
        stages=(*_ORIGINAL_PAPER, _AGGRESSIVE),
    )


PRESETS: dict[str, Callable[[], Params]] = {
    preset.__name__: preset for preset in (reference, mini, mlperf_2018, tensorflow, original_paper, aggressive_lr)
}
