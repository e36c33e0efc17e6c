"""Every parameter of a run: seven sections of plain fields, each with its meaning, unit and source under it.

One frozen `Params` describes a run. Every section checks its values when it is made, so a `Params` is always valid.
The presets are in params.py.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from speech_recognition.bounds import Range, Section, check

LIBRISPEECH_FOLDER, SMALL_FOLDER, MINI_FOLDER = "LibriSpeech_dataset", "small_dataset", "mini_dataset"
CLEAN_SMALL_FOLDER = f"{LIBRISPEECH_FOLDER}_clean_small"
"""Folders of the datasets, under the repository root unless --data-dir names a different place."""

SAMPLE_RATE = 16_000
"""Sampling rate of every processed recording, in Hz (LibriSpeech's own)."""

Count = Annotated[int, Range(1, 2**20)]
Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True, kw_only=True)
class DataParams(Section, name="data"):
    """Parameters of the dataset and of its division into batches."""

    dataset: str = LIBRISPEECH_FOLDER
    """folder of the processed dataset, under the repository root"""
    batch_size: Count = 8
    """utterances in a training step over all devices (global batch size)"""
    eval_batch_size: Count = 32
    """utterances evaluated at once; changes speed, not results"""
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
    """batches in a bucket of similar lengths (only for buckets)"""
    workers: Annotated[int, Range(0, 64)] = 2
    """processes that read audio; 0: the training process reads it"""

    def _check_together(self) -> None:
        check(self.dataset != "", "data.dataset", "''", "a folder name")
        check(
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
    """time from one frame to the next, in seconds"""
    mel_bands: Annotated[int, Range(16, 128)] = 64
    """bands of the mel spectrogram (only for mel, mfcc)"""
    mfcc_coefficients: Annotated[int, Range(1, 128)] = 13
    """coefficients that are kept (only for mfcc)"""
    normalize: Literal["utterance", "bin"] = "utterance"
    """utterance: scale the whole spectrogram to mean 0 and standard deviation 1 (MLPerf 2018); bin: each of its
    rows (TensorFlow)"""

    def _check_together(self) -> None:
        check(
            self.hop_seconds <= self.window_seconds,
            "features.hop_seconds",
            self.hop_seconds,
            f"at most features.window_seconds ({self.window_seconds})",
        )
        # With more bands, the lowest would be narrower than a bin of the FFT, and empty.
        most = self.fft_samples // 5
        check(
            not self._banded or self.mel_bands <= most,
            "features.mel_bands",
            self.mel_bands,
            f"at most {most} for windows of {self.window_seconds} s",
        )
        check(
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
    gain_min_db: Annotated[float, Range(-60, 60)] = 0.0
    """lowest gain, in dB"""
    gain_max_db: Annotated[float, Range(-60, 60)] = 0.0
    """highest gain, in dB"""
    speed_min: Annotated[float, Range(0.5, 2.0)] = 1.0
    """lowest speed, as a factor; changes pitch and tempo"""
    speed_max: Annotated[float, Range(0.5, 2.0)] = 1.0
    """highest speed, as a factor"""
    noise_folder: str = ""
    """folder of recordings to add as noise; empty adds none"""
    noise_probability: Share = 0.4
    """share of utterances that get noise (with noise_folder)"""
    noise_min_db: Annotated[float, Range(-30, 100)] = 5.0
    """lowest signal-to-noise ratio, in dB (with noise_folder)"""
    noise_max_db: Annotated[float, Range(-30, 100)] = 25.0
    """highest signal-to-noise ratio, in dB (with noise_folder)"""
    frequency_masks: Annotated[int, Range(0, 1000)] = 0
    """frequency masks of SpecAugment (MLPerf's RNN-T: 2)"""
    frequency_mask_min: Annotated[int, Range(0, 1024)] = 0
    """narrowest frequency mask, in bins"""
    frequency_mask_max: Annotated[int, Range(0, 1024)] = 20
    """widest frequency mask, in bins"""
    time_masks: Annotated[int, Range(0, 1000)] = 0
    """time masks of SpecAugment (MLPerf's RNN-T: 10)"""
    time_mask_min: Share = 0.0
    """narrowest time mask, a share of the utterance"""
    time_mask_max: Share = 0.03
    """widest time mask, a share of the utterance"""
    pictures: Annotated[int, Range(0, 1000)] = 0
    """training utterances whose spectrograms, before and after augmentation, are drawn as PNG files
    when the run ends"""

    def _check_together(self) -> None:
        for name in ("tempo_{}", "speed_{}", "gain_{}_db", "noise_{}_db", "frequency_mask_{}", "time_mask_{}"):
            low, high = name.format("min"), name.format("max")
            below, above = getattr(self, low), getattr(self, high)
            check(below <= above, f"augmentation.{high}", above, f"at least augmentation.{low} ({below})")

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
    """BatchNorm before each recurrent layer but the first"""
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
    """learning rate after the cosine fall (only for warmup_cosine)"""

    def _check_together(self) -> None:
        check(
            self.end_learning_rate <= self.learning_rate,
            "optimizer.end_learning_rate",
            self.end_learning_rate,
            f"at most optimizer.learning_rate ({self.learning_rate})",
        )


@dataclass(frozen=True, kw_only=True)
class TrainingParams(Section, name="training"):
    """Parameters of evaluations, checkpoints and the end of a run."""

    epochs: Annotated[int, Range(1, 10_000)] = 10
    """most passes over the training data"""
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
        check(self.org.strip() != "", "submission.org", "''", "a name")
        check(self.platform.strip() != "", "submission.platform", "''", "a name")


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
        check(
            self.model.conv_padding or self.features.bins >= 81,
            "model.conv_padding",
            self.model.conv_padding,
            f"true for spectrograms of fewer than 81 bins (the features have {self.features.bins})",
        )
        for stage in self.stages:
            check(
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
