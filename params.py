"""The presets by name.

`train --preset NAME` picks one of `PRESETS`, `--set section.name=value` changes a parameter. A preset states what
differs from the defaults in speech_recognition/parameters.py, which has the meaning and the bounds of each parameter.
"""

from collections.abc import Callable
from dataclasses import replace

from speech_recognition.parameters import (
    CLEAN_SMALL_FOLDER,
    MINI_FOLDER,
    SMALL_FOLDER,
    AugmentationParams,
    DataParams,
    FeatureParams,
    ModelParams,
    OptimizerParams,
    Params,
    Stage,
    SubmissionParams,
    TrainingParams,
)


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


def small() -> Params:
    """Return a DeepSpeech2 for Mini LibriSpeech, real speech that one GPU or two CPU cores can train on."""
    return Params(
        preset="small",
        data=DataParams(dataset=SMALL_FOLDER, batch_size=16, order="buckets", workers=0),
        features=FeatureParams(kind="mel", window_seconds=0.032, hop_seconds=0.016),
        augmentation=AugmentationParams(
            tempo_min=0.9,
            tempo_max=1.1,
            frequency_masks=2,
            frequency_mask_max=15,
            time_masks=2,
            time_mask_max=0.05,
        ),
        # With 32 channels a step takes 1.3 times as long on two CPU cores (docs/LOG.md).
        model=ModelParams(
            conv_channels=16,
            conv_padding=True,
            rnn_units=256,
            bidirectional=True,
            rnn_batch_norm=True,
            precision="auto",
        ),
        optimizer=OptimizerParams(
            name="adamw",
            learning_rate=2e-3,
            weight_decay=0.01,
            clip_norm=5.0,
            schedule="one_cycle",
            warmup_fraction=0.125,
        ),
        training=TrainingParams(epochs=14, target_wer=85.0),
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


def clean_small() -> Params:
    """Return the model of `reference` with a recipe for one GPU and the 100 hours of train-clean-100.

    Nobody has run it; docs/BENCHMARK.md has its predicted time.
    """
    return Params(
        preset="clean_small",
        data=DataParams(dataset=CLEAN_SMALL_FOLDER, batch_size=32, order="buckets"),
        # A tenth of the data, seen twice as often: masks keep the 104 million weights from learning it by heart.
        augmentation=replace(_AUGMENTATION_2018, frequency_masks=2, time_masks=10),
        model=ModelParams(precision="auto"),
        # The rate of `reference`, by the square root of the batch: 5e-4 at 128.
        optimizer=replace(reference().optimizer, learning_rate=2.5e-4),
        training=TrainingParams(epochs=20),
        submission=_OPEN,
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
    preset.__name__: preset
    for preset in (reference, mini, small, clean_small, mlperf_2018, tensorflow, original_paper, aggressive_lr)
}
