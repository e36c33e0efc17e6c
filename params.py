"""Every parameter of the benchmark, and the presets by name.

A run is described by one frozen `Params`: seven sections of plain fields, each
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
    longest_seconds: float = 0.0
    """training utterances that are longer are left out and named in the log; 0 keeps all"""
    batch_seconds: float = 0.0
    """most seconds of audio in a training step, padding included; 0 sets no bound beside batch_size"""
    accumulation_steps: int = 1
    """parts of a training step whose gradients are added before the update (BatchNorm sees one part)"""
    order: Literal["ascending", "batch_shuffle", "sorta_grad", "buckets"] = "ascending"
    """ascending: shortest first, every epoch (MLPerf reference); batch_shuffle: consecutive
    blocks of the sorted list in a shuffled order (TensorFlow's deep_speech); sorta_grad: the first epoch ascending,
    the others batch_shuffle; buckets: utterances are shuffled among neighbours in length, then the batches"""
    bucket_batches: int = 16
    """batches that a bucket of neighbours in length holds (buckets)"""
    workers: int = 2
    """processes that read audio; 0 reads in the training process"""

    def __post_init__(self) -> None:
        _check(self.dataset != "", "data.dataset", "''", "a folder name")
        _check(1 <= self.batch_size <= 2**20, "data.batch_size", self.batch_size, "from 1 to 1048576")
        _check(1 <= self.eval_batch_size <= 2**20, "data.eval_batch_size", self.eval_batch_size, "from 1 to 1048576")
        _check(0 <= self.longest_seconds <= 1e6, "data.longest_seconds", self.longest_seconds, "from 0 to 1e6")
        _check(0 <= self.batch_seconds <= 1e6, "data.batch_seconds", self.batch_seconds, "from 0 to 1e6")
        _check(1 <= self.bucket_batches <= 2**20, "data.bucket_batches", self.bucket_batches, "from 1 to 1048576")
        _check(
            1 <= self.accumulation_steps <= self.batch_size and self.batch_size % self.accumulation_steps == 0,
            "data.accumulation_steps",
            self.accumulation_steps,
            f"a divisor of data.batch_size ({self.batch_size})",
        )
        _check(0 <= self.workers <= 64, "data.workers", self.workers, "from 0 to 64")


@dataclass(frozen=True, kw_only=True)
class FeatureParams:
    """How a waveform becomes a spectrogram."""

    kind: Literal["linear", "power", "mel", "mfcc"] = "linear"
    """linear: log(1 + magnitude) of every FFT bin, samples on a scale of 32 bits (MLPerf reference); power: log of
    the spectral density in every FFT bin (TensorFlow); mel: log power in mel bands; mfcc: the first cosine
    coefficients of mel"""
    window: Literal["hamming", "hann"] = "hamming"
    """shape of the window"""
    window_seconds: float = 0.02
    """length of the window, in seconds"""
    hop_seconds: float = 0.01
    """distance between two frames, in seconds"""
    mel_bands: int = 64
    """bands of the mel spectrogram (mel, mfcc)"""
    mfcc_coefficients: int = 13
    """coefficients kept (mfcc)"""
    normalize: Literal["utterance", "bin"] = "utterance"
    """utterance: one mean and deviation over the whole spectrogram (MLPerf reference); bin: of each row over time
    (TensorFlow)"""

    def __post_init__(self) -> None:
        _check(0.002 <= self.window_seconds <= 0.1, "features.window_seconds", self.window_seconds, "from 0.002 to 0.1")
        _check(
            0.001 <= self.hop_seconds <= self.window_seconds,
            "features.hop_seconds",
            self.hop_seconds,
            f"from 0.001 to features.window_seconds ({self.window_seconds})",
        )
        # With more, the lowest bands would be narrower than a bin of the FFT, and empty.
        most = self.fft_samples // 5 if self._banded else 128
        _check(
            16 <= self.mel_bands <= most,
            "features.mel_bands",
            self.mel_bands,
            f"from 16 to {most} for windows of {self.window_seconds} s",
        )
        _check(
            1 <= self.mfcc_coefficients <= self.mel_bands,
            "features.mfcc_coefficients",
            self.mfcc_coefficients,
            f"from 1 to features.mel_bands ({self.mel_bands})",
        )

    @property
    def _banded(self) -> bool:
        return self.kind in ("mel", "mfcc")

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
        return 1 << (self.window_samples - 1).bit_length() if self._banded else self.window_samples

    @property
    def bins(self) -> int:
        """Rows of the spectrogram: 161 for the reference's 20 ms window."""
        if self.kind == "mfcc":
            return self.mfcc_coefficients
        return self.mel_bands if self.kind == "mel" else self.window_samples // 2 + 1


@dataclass(frozen=True, kw_only=True)
class AugmentationParams:
    """What happens to training utterances; drawn for each utterance and epoch. The defaults change nothing."""

    tempo_min: float = 1.0
    """lowest tempo, as a factor; the pitch is kept"""
    tempo_max: float = 1.0
    """highest tempo, as a factor"""
    gain_min_db: float = 0.0
    """lowest gain, in dB"""
    gain_max_db: float = 0.0
    """highest gain, in dB"""
    speed_min: float = 1.0
    """lowest speed, as a factor; pitch and tempo change together"""
    speed_max: float = 1.0
    """highest speed, as a factor"""
    noise_folder: str = ""
    """folder of recordings to add as noise"""
    noise_probability: float = 0.4
    """share of utterances that get noise (noise_folder)"""
    noise_min_db: float = 5.0
    """lowest signal-to-noise ratio, in dB (noise_folder)"""
    noise_max_db: float = 25.0
    """highest signal-to-noise ratio, in dB (noise_folder)"""
    frequency_masks: int = 0
    """SpecAugment's masks over bins (MLPerf's RNN-T: 2)"""
    frequency_mask_min: int = 0
    """narrowest of them, in bins"""
    frequency_mask_max: int = 20
    """widest of them, in bins"""
    time_masks: int = 0
    """SpecAugment's masks over frames (MLPerf's RNN-T: 10)"""
    time_mask_min: float = 0.0
    """narrowest of them, as a share of the utterance"""
    time_mask_max: float = 0.03
    """widest of them, as a share of the utterance"""
    pictures: int = 0
    """utterances whose spectrograms before and after are drawn into the results folder when the run has ended"""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("tempo", 0.5, 2.0),
            ("gain", -60.0, 60.0),
            ("speed", 0.5, 2.0),
            ("noise", -30.0, 100.0),
            ("frequency_mask", 0, 1024),
            ("time_mask", 0.0, 1.0),
        ):
            unit = "_db" if name in ("gain", "noise") else ""
            low, high = f"{name}_min{unit}", f"{name}_max{unit}"
            below, above = getattr(self, low), getattr(self, high)
            _check(least <= below <= most, f"augmentation.{low}", below, f"from {least} to {most}")
            _check(below <= above <= most, f"augmentation.{high}", above, f"from {low} ({below}) to {most}")
        for name in ("frequency_masks", "time_masks", "pictures"):
            _check(0 <= getattr(self, name) <= 1000, f"augmentation.{name}", getattr(self, name), "from 0 to 1000")
        _check(
            0 <= self.noise_probability <= 1, "augmentation.noise_probability", self.noise_probability, "from 0 to 1"
        )

    @property
    def changes_tempo(self) -> bool:
        """Whether any utterance gets another tempo."""
        return (self.tempo_min, self.tempo_max) != (1.0, 1.0)

    @property
    def changes_speed(self) -> bool:
        """Whether any utterance gets another speed."""
        return (self.speed_min, self.speed_max) != (1.0, 1.0)

    @property
    def active(self) -> bool:
        """Whether anything happens at all."""
        return self.changes_tempo or self.changes_waveforms or self.frequency_masks > 0 or self.time_masks > 0

    @property
    def changes_waveforms(self) -> bool:
        """Whether there is anything to do before the spectrogram."""
        return self.changes_speed or (self.gain_min_db, self.gain_max_db) != (0.0, 0.0) or self.noise_folder != ""


@dataclass(frozen=True, kw_only=True)
class ModelParams:
    """DeepSpeech2: two convolutions, recurrent layers, one linear layer."""

    conv_channels: int = 32
    """output channels of both convolutions"""
    conv_padding: bool = False
    """pad the convolutions' input to keep the borders (20 and 10 bins, 5 frames each side)"""
    conv_bias: bool = True
    """convolutions with a bias"""
    activation_limit: float = 20.0
    """upper limit of the clipped ReLU (Hardtanh) of each convolution"""
    activation_before_norm: bool = False
    """clipped ReLU before BatchNorm (TensorFlow), not after it (paper, MLPerf reference)"""
    rnn_type: Literal["gru", "lstm", "rnn"] = "gru"
    """kind of the recurrent layers (rnn: the plain one, with tanh)"""
    rnn_layers: int = 3
    """number of recurrent layers"""
    rnn_units: int = 2560
    """units of each recurrent layer in each direction"""
    bidirectional: bool = False
    """run each recurrent layer in both directions"""
    merge: Literal["sum", "concat"] = "sum"
    """how the outputs of the two directions are combined (bidirectional)"""
    rnn_batch_norm: bool = False
    """BatchNorm before every recurrent layer but the first"""
    linear_bias: bool = False
    """the last layer with a bias"""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """fp32; tf32: products with mantissas of 10 bits (GPUs only); bf16: convolutions and products in
    bfloat16, weights, sums, BatchNorm, loss and optimizer in float32"""
    batch_norm_momentum: float = 0.1
    """weight of a batch in BatchNorm's running statistics"""

    def __post_init__(self) -> None:
        _check(1 <= self.conv_channels <= 1024, "model.conv_channels", self.conv_channels, "from 1 to 1024")
        _check(
            0 < self.activation_limit <= 1e6, "model.activation_limit", self.activation_limit, "above 0, at most 1e6"
        )
        _check(
            0 < self.batch_norm_momentum <= 1,
            "model.batch_norm_momentum",
            self.batch_norm_momentum,
            "above 0, at most 1",
        )
        _check(1 <= self.rnn_layers <= 16, "model.rnn_layers", self.rnn_layers, "from 1 to 16")
        _check(1 <= self.rnn_units <= 16384, "model.rnn_units", self.rnn_units, "from 1 to 16384")


@dataclass(frozen=True, kw_only=True)
class OptimizerParams:
    """How gradients change the weights."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    """sgd: stochastic gradient descent with Nesterov momentum; adam; adamw: Adam with decoupled weight decay"""
    learning_rate: float = 1e-4
    """the highest learning rate of the schedule"""
    momentum: float = 0.9
    """Nesterov momentum (sgd)"""
    beta1: float = 0.9
    """decay of the gradient's running mean (adam, adamw)"""
    beta2: float = 0.999
    """decay of the squared gradient's running mean (adam, adamw)"""
    epsilon: float = 1e-8
    """added to the root of the squared gradient's mean (adam, adamw)"""
    weight_decay: float = 0.0
    """pull of the weights towards zero, per step and unit of learning rate"""
    clip_norm: float = 400.0
    """largest Euclidean norm of the gradient of a step; a longer one is scaled down to it"""
    schedule: Literal["anneal", "one_cycle", "warmup_cosine"] = "anneal"
    """anneal: divide by anneal_factor after every epoch; one_cycle: linear rise, then cosine fall towards 0 over the
    steps of all epochs; warmup_cosine: likewise, with warmup_steps and end_learning_rate"""
    anneal_factor: float = 1.1
    """divisor of the learning rate after every epoch (anneal)"""
    warmup_fraction: float = 0.1
    """share of all steps in which the learning rate rises (one_cycle)"""
    warmup_steps: int = 1000
    """steps in which the learning rate rises (warmup_cosine)"""
    end_learning_rate: float = 0.0
    """learning rate that the cosine would reach one step after the last (warmup_cosine)"""

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
        _check(0 <= self.warmup_steps <= 10**9, "optimizer.warmup_steps", self.warmup_steps, "from 0 to 1e9")
        _check(
            0 <= self.end_learning_rate <= self.learning_rate,
            "optimizer.end_learning_rate",
            self.end_learning_rate,
            f"from 0 to optimizer.learning_rate ({self.learning_rate})",
        )


@dataclass(frozen=True, kw_only=True)
class TrainingParams:
    """When a run evaluates and ends."""

    epochs: int = 10
    """passes over the training data, at most"""
    target_wer: float = 23.0
    """word error rate on val, in percent, at or below which the run ends with success"""
    evaluate_first: bool = False
    """evaluate once before the first step (epoch 0 in metrics.csv, not in the MLPerf log)"""
    save_minutes: float = 10.0
    """time between two checkpoints within an epoch, in minutes; 0 saves after evaluations only"""
    save_steps: int = 0
    """steps between two checkpoints within an epoch; 0 leaves it to save_minutes"""
    max_skipped: int = 20
    """steps in a row without a finite loss and gradient (they change nothing) after which training has diverged"""
    sample_transcripts: int = 3
    """utterances of val whose reference and hypothesis are shown after each evaluation"""

    def __post_init__(self) -> None:
        _check(1 <= self.epochs <= 10_000, "training.epochs", self.epochs, "from 1 to 10000")
        _check(0 <= self.save_minutes <= 1e6, "training.save_minutes", self.save_minutes, "from 0 to 1e6")
        _check(0 <= self.save_steps <= 10**9, "training.save_steps", self.save_steps, "from 0 to 1e9")
        _check(1 <= self.max_skipped <= 10**9, "training.max_skipped", self.max_skipped, "from 1 to 1e9")
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
    """closed: the preset's data, features, model and optimizer; open: anything that reaches the target"""
    status: Literal["onprem", "cloud", "research", "preview"] = "research"
    """availability of the system"""

    def __post_init__(self) -> None:
        _check(self.org.strip() != "", "submission.org", "''", "a name")
        _check(self.platform.strip() != "", "submission.platform", "''", "a name")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Values that replace a run's own from one epoch on: a recipe that was changed on the way."""

    first_epoch: int
    """counted from 1"""
    batch_size: int
    """data.batch_size"""
    momentum: float
    """optimizer.momentum"""
    anneal_factor: float
    """optimizer.anneal_factor"""
    learning_rate: float | None = None
    """of the first epoch; None goes on from the one before"""

    def __post_init__(self) -> None:
        _check(1 <= self.first_epoch <= 10_000, "stages.first_epoch", self.first_epoch, "from 1 to 10000")
        _check(1 <= self.batch_size <= 2**20, "stages.batch_size", self.batch_size, "from 1 to 1048576")
        _check(0 <= self.momentum < 1, "stages.momentum", self.momentum, "at least 0, below 1")
        _check(1 <= self.anneal_factor <= 1000, "stages.anneal_factor", self.anneal_factor, "from 1 to 1000")
        rate = self.learning_rate
        _check(rate is None or 0 < rate <= 10, "stages.learning_rate", rate, "above 0, at most 10")


@dataclass(frozen=True, kw_only=True)
class Params:
    """One run, described whole."""

    preset: str
    """name of the preset that this started from"""
    data: DataParams = field(default_factory=DataParams)
    features: FeatureParams = field(default_factory=FeatureParams)
    augmentation: AugmentationParams = field(default_factory=AugmentationParams)
    model: ModelParams = field(default_factory=ModelParams)
    optimizer: OptimizerParams = field(default_factory=OptimizerParams)
    training: TrainingParams = field(default_factory=TrainingParams)
    submission: SubmissionParams = field(default_factory=SubmissionParams)
    stages: tuple[Stage, ...] = ()
    """later stages of the recipe, in their order; not for --set"""

    def __post_init__(self) -> None:
        # The second convolution is 21 bins tall and sees every second row of the first, which is 41 tall.
        _check(
            self.model.conv_padding or self.features.bins >= 81,
            "model.conv_padding",
            self.model.conv_padding,
            f"true for spectrograms of fewer than 81 bins (features give {self.features.bins})",
        )
        for stage in self.stages:
            _check(
                stage.batch_size % self.data.accumulation_steps == 0,
                "data.accumulation_steps",
                self.data.accumulation_steps,
                f"a divisor of every stage's batch size ({stage.batch_size})",
            )

    def stage(self, epoch: int) -> Stage:
        """The values of an epoch."""
        own = Stage(
            first_epoch=1,
            batch_size=self.data.batch_size,
            momentum=self.optimizer.momentum,
            anneal_factor=self.optimizer.anneal_factor,
            learning_rate=self.optimizer.learning_rate,
        )
        return [stage for stage in (own, *self.stages) if stage.first_epoch <= epoch][-1]


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


_REFERENCE_AUGMENTATION = AugmentationParams(tempo_min=0.85, tempo_max=1.15, gain_min_db=-6.0, gain_max_db=8.0)
"""Of the reference's data_loader.py: `sox tempo` and `gain`, both drawn uniformly."""


def reference() -> Params:
    """The MLPerf reference as it was coded in 2018 (its recipe stopped near a WER of 34)."""
    return Params(preset="reference", augmentation=_REFERENCE_AUGMENTATION)


def tuned() -> Params:
    """The reference's model with a recipe that is meant to reach 23.0 within ten epochs of LibriSpeech.

    Not run on the whole data: the README says what it rests on.
    """
    return Params(
        preset="tuned",
        data=DataParams(batch_size=128, order="buckets"),
        augmentation=_REFERENCE_AUGMENTATION,
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
    """The TensorFlow model garden's deep_speech, its kernels along the axes that the paper has.

    What else is not as there: evaluation leaves no utterance out, spectrograms begin and end with the
    signal mirrored, the GRUs reset after their product, and weights are drawn as PyTorch draws them.
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
    )


_ORIGINAL_PAPER = (
    Stage(first_epoch=5, batch_size=16, momentum=0.99, anneal_factor=1.2),
    Stage(first_epoch=7, batch_size=16, momentum=0.90, anneal_factor=1.01),
)
"""Of mlcommons/inference's quality table (its params.py by stages), after four epochs of the reference."""

_AGGRESSIVE = Stage(first_epoch=11, batch_size=16, momentum=0.85, anneal_factor=1.01, learning_rate=3e-4)


def original_paper() -> Params:
    """The quality table's run of ten epochs: the reference, then two stages called "original paper"."""
    return Params(preset="original_paper", augmentation=_REFERENCE_AUGMENTATION, stages=_ORIGINAL_PAPER)


def aggressive_lr() -> Params:
    """The quality table's run of twenty epochs: `original_paper`, then a stage called "aggressive LR"."""
    return Params(
        preset="aggressive_lr",
        augmentation=_REFERENCE_AUGMENTATION,
        training=TrainingParams(epochs=20),
        submission=SubmissionParams(division="open"),  # the closed one ends after ten
        stages=(*_ORIGINAL_PAPER, _AGGRESSIVE),
    )


PRESETS: dict[str, Callable[[], Params]] = {
    preset.__name__: preset for preset in (mini, reference, tuned, tensorflow, original_paper, aggressive_lr)
}
