"""The quality table of a run: the WER of every epoch's checkpoint, as mlcommons/inference published one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import InputError
from speech_recognition.evaluation import Evaluation, evaluate
from speech_recognition.runs import checkpoint

Row = dict[str, str]
"""Columns in their order: epoch, a WER in percent for each subset and each set of several, recipe."""


def evaluate_epochs(run: Path, sets: Sequence[Sequence[Utterance]], device: torch.device) -> Iterator[Row]:
    """A row for each epoch's checkpoint of a run's folder. Raises InputError if there is none."""
    paths = checkpoint.epoch_paths(run / "checkpoints")
    if not paths:
        raise InputError(f"{run}: no checkpoints of epochs below it; name a run's folder in results/, or a checkpoint")
    for path in reversed(paths):
        snapshot = checkpoint.read(path)
        trained = checkpoint.trained(snapshot, path, device)
        try:
            row, recipe = {"epoch": str(snapshot.evaluated_epoch)}, {"recipe": _recipe(snapshot)}
        except (LookupError, TypeError, ValueError):
            raise InputError(f"{path}: does not say what it was trained for; train again or name another") from None
        for utterances in sets:
            row |= _rates(evaluate_checkpoint(trained, utterances, device))
        yield row | recipe


def evaluate_checkpoint(
    trained: checkpoint.Checkpoint, utterances: Sequence[Utterance], device: torch.device
) -> Evaluation:
    """A trained model on a set, in batches as its own run made them."""
    data = trained.params.data
    return evaluate(
        trained.model,
        trained.features,
        utterances,
        batch_size=data.eval_batch_size,
        workers=data.workers,
        device=device,
    )


def markdown(row: Row) -> str:
    """A line of the table."""
    return "| " + " | ".join(row.values()) + " |"


def markdown_head(row: Row) -> str:
    """The two lines above the first row."""
    return "| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|"


def _rates(evaluation: Evaluation) -> Row:
    subsets = evaluation.by_subset()
    rates = {name: f"{score.wer:.2f}" for name, score in subsets.items()}
    return rates if len(rates) == 1 else rates | {" + ".join(rates): f"{evaluation.total.wer:.2f}"}


def _recipe(snapshot: checkpoint.Snapshot) -> str:
    params, last = snapshot.params, snapshot.metrics[-1]
    stage = params.stage(last["epoch"])
    momentum = f", momentum {stage.momentum:g}" if params.optimizer.name == "sgd" else ""
    rate = f"rate {last['learning_rate']:.2e}"
    return f"{params.preset}: {params.optimizer.name}, batch {stage.batch_size}, {rate}{momentum}"
