"""The lines of a log that say what a run is: its submission, its parameters, its optimizer, its augmentation.

`RunLog` writes them, `closed.py` holds them to the closed division before the run begins. Keys are the constants of
mlperf_logging.mllog.constants 4.1.68, except `opt_momentum` (the name in the official rules), `data_order`, and the
keys of tempo, gain and noise, for which it has no constant.
"""

from collections.abc import Iterator
from pathlib import Path

from mlperf_logging.mllog import constants

from speech_recognition.mlperf.benchmarks import benchmark_of
from speech_recognition.parameters import AugmentationParams, OptimizerParams, Params
from speech_recognition.runs.folder import RunFolder
from speech_recognition.runtime import distributed

CONFIG_FILENAME = RunFolder(Path()).params.name
"""Value of `config_filename`: the file with all parameters in the run's folder, which a submission holds too."""

Line = tuple[str, object, dict[str, object]]
"""Key, value and metadata of a line."""

_PRECISIONS = {"fp32": "fp32", "tf32": "tf32", "bf16": "bfloat16"}
"""MLPerf's name of each value of `model.precision`."""


def described(params: Params, seed: int) -> Iterator[Line]:
    """Yield key, value and metadata of the lines that describe the submission and its hyperparameters."""
    plain: dict[str, object] = {
        constants.SUBMISSION_BENCHMARK: benchmark_of(params.preset).name,
        constants.SUBMISSION_DIVISION: params.submission.division,
        constants.SUBMISSION_ORG: params.submission.org,
        constants.SUBMISSION_PLATFORM: params.submission.platform,
        constants.SUBMISSION_STATUS: params.submission.status,
        constants.LOWEST_NUMERICAL_PRECISION_IN_LINEAR: _PRECISIONS[params.model.precision],
        # The model has no attention, but the 6.1.0 rules require this key.
        constants.LOWEST_NUMERICAL_PRECISION_IN_ATTN: _PRECISIONS[params.model.precision],
        # Processes exchange gradients in the dtype of the weights, whatever the precision of the products.
        constants.LOWEST_NUMERICAL_PRECISION_IN_COMM: "fp32",
        constants.TENSOR_PARALLELISM: 1,
        constants.PIPELINE_PARALLELISM: 1,
        constants.CONTEXT_PARALLELISM: 1,
        constants.EXPERT_PARALLELISM: 1,
        constants.MICRO_BATCH_SIZE: params.data.batch_size // (params.data.accumulation_steps * distributed.size()),
        constants.CONFIG_FILENAME: CONFIG_FILENAME,
        constants.SEED: seed,
        constants.GLOBAL_BATCH_SIZE: params.data.batch_size,
        constants.GRADIENT_ACCUMULATION_STEPS: params.data.accumulation_steps,
    }
    yield from ((key, value, {}) for key, value in plain.items())
    yield from _optimizer(params.optimizer)
    yield from _schedule(params.optimizer, params.training.epochs)
    yield "data_order", params.data.order, {}
    if params.data.longest_seconds:
        yield constants.DATA_TRAIN_MAX_DURATION, params.data.longest_seconds, {}
    yield from _augmentation(params.augmentation)


def _optimizer(params: OptimizerParams) -> Iterator[Line]:
    """Yield the lines of the optimizer, except its schedule."""
    yield constants.OPT_NAME, params.name, {"nesterov": True} if params.name == "sgd" else {}
    yield constants.OPT_BASE_LR, params.learning_rate, {}
    # MLPerf names the same quantity differently for each optimizer, such as opt_adam_beta_1 and opt_adamw_beta_1.
    if params.name == "sgd":
        yield "opt_momentum", params.momentum, {}
        yield constants.OPT_WEIGHT_DECAY, params.weight_decay, {}
    elif params.name == "adam":
        yield constants.OPT_ADAM_BETA_1, params.beta1, {}
        yield constants.OPT_ADAM_BETA_2, params.beta2, {}
        yield constants.OPT_ADAM_EPSILON, params.epsilon, {}
        yield constants.OPT_WEIGHT_DECAY, params.weight_decay, {}
    elif params.name == "lamb":
        yield constants.OPT_LAMB_BETA_1, params.beta1, {}
        yield constants.OPT_LAMB_BETA_2, params.beta2, {}
        yield constants.OPT_LAMB_EPSILON, params.epsilon, {}
        yield constants.OPT_LAMB_WEIGHT_DECAY, params.weight_decay, {}
    else:
        yield constants.OPT_ADAMW_BETA_1, params.beta1, {}
        yield constants.OPT_ADAMW_BETA_2, params.beta2, {}
        yield constants.OPT_ADAMW_EPSILON, params.epsilon, {}
        yield constants.OPT_ADAMW_WEIGHT_DECAY, params.weight_decay, {}
    yield constants.OPT_GRADIENT_CLIP_NORM, params.clip_norm, {}


def _augmentation(params: AugmentationParams) -> Iterator[Line]:
    """Yield the lines of the augmentations that are in use."""
    if params.changes_tempo:
        yield "data_tempo_perturbation_min", params.tempo_min, {}
        yield "data_tempo_perturbation_max", params.tempo_max, {}
    if params.changes_speed:
        yield constants.DATA_SPEED_PERTURBATON_MIN, params.speed_min, {}
        yield constants.DATA_SPEED_PERTURBATON_MAX, params.speed_max, {}
    if (params.gain_min_db, params.gain_max_db) != (0.0, 0.0):
        yield "data_gain_min_db", params.gain_min_db, {}
        yield "data_gain_max_db", params.gain_max_db, {}
    if params.noise_folder:
        yield "data_noise_probability", params.noise_probability, {}
        yield "data_noise_min_db", params.noise_min_db, {}
        yield "data_noise_max_db", params.noise_max_db, {}
    if params.frequency_masks:
        yield constants.DATA_SPEC_AUGMENT_FREQ_N, params.frequency_masks, {}
        yield constants.DATA_SPEC_AUGMENT_FREQ_MIN, params.frequency_mask_min, {}
        yield constants.DATA_SPEC_AUGMENT_FREQ_MAX, params.frequency_mask_max, {}
    if params.time_masks:
        yield constants.DATA_SPEC_AUGMENT_TIME_N, params.time_masks, {}
        yield constants.DATA_SPEC_AUGMENT_TIME_MIN, params.time_mask_min, {}
        yield constants.DATA_SPEC_AUGMENT_TIME_MAX, params.time_mask_max, {}


def _schedule(params: OptimizerParams, epochs: int) -> Iterator[Line]:
    """Yield the lines of the learning rate's schedule over `epochs` epochs."""
    yield constants.OPT_LR_DECAY_SCHEDULE, params.schedule, {"epochs": epochs}
    if params.schedule == "anneal":
        # MLPerf's decay factor multiplies the rate (0.1 in its detection benchmarks); the 2018 reference divides by its
        # own, so the log has the inverse.
        yield constants.OPT_LR_DECAY_FACTOR, 1 / params.anneal_factor, {"anneal_factor": params.anneal_factor}
    elif params.schedule == "one_cycle":
        yield constants.OPT_LR_WARMUP_EPOCHS, params.warmup_fraction * epochs, {}
        yield constants.OPT_END_LR, 0.0, {}
    else:
        yield constants.OPT_LR_WARMUP_STEPS, params.warmup_steps, {}
        yield constants.OPT_END_LR, params.end_learning_rate, {}
