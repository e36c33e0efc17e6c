"""The quality table of a run: the WER of every epoch's checkpoint, in the form that mlcommons/inference published."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.decoding.greedy import Decode, greedy
from speech_recognition.errors import InputError
from speech_recognition.evaluation import Evaluation, evaluate
from speech_recognition.recognizer import AnyRecognizer
from speech_recognition.runs import checkpoint
from speech_recognition.runs.folder import RunFolder

Row = dict[str, str]
"""Columns of a row, in order: epoch; WER in percent of each subset, and of each set with several subsets; recipe."""


def evaluate_epochs(
    run: Path,
    sets: Sequence[Sequence[Utterance]],
    recognizer_of: Callable[[checkpoint.TrainingState, Path], AnyRecognizer],
    decode: Decode = greedy,
) -> Iterator[Row]:
    """Yield a row for each epoch's checkpoint in the folder `run`, the first epoch first.

    recognizer_of: makes the recognizer of a state from the path that it was read from. Raises InputError if there is
    no checkpoint, if one cannot be read, or if two sets have a subset of the same name, and so the same column.
    """
    _check_columns(sets)
    paths = checkpoint.epoch_paths(RunFolder(run).checkpoints)
    if not paths:
        raise InputError(
            f"{run}: no checkpoints/epoch_NN.pt in it; name a run that has evaluated an epoch, or a checkpoint"
        )
    for path in reversed(paths):
        # One at a time: a checkpoint of `reference` takes 1.2 GB.
        state = checkpoint.read(path)
        recognizer = recognizer_of(state, path)
        try:
            row, recipe = {"epoch": str(state.evaluated_epoch)}, {"recipe": _recipe(state)}
        except (LookupError, TypeError, ValueError):
            raise InputError(
                f"{path}: lacks the epoch or the rate of its training; train again or name a different one"
            ) from None
        for utterances in sets:
            row |= _rates(evaluate(recognizer, utterances, decode=decode))
        yield row | recipe


def _check_columns(sets: Sequence[Sequence[Utterance]]) -> None:
    """Raise InputError if two sets have a subset of the same name."""
    seen = set[str]()
    for utterances in sets:
        names = {each.subset for each in utterances}
        if twice := sorted(seen & names):
            raise InputError(f"{', '.join(twice)}: a subset of several manifests; evaluate them one by one")
        seen |= names


def markdown(row: Row) -> str:
    """Return a row as a line of a Markdown table."""
    return "| " + " | ".join(row.values()) + " |"


def markdown_head(row: Row) -> str:
    """Return the two lines above the first row of a Markdown table."""
    return "| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|"


def _rates(evaluation: Evaluation) -> Row:
    """Return the WER in percent of each subset and, if there are several, of all of them together."""
    subsets = evaluation.by_subset()
    scores = subsets if len(subsets) == 1 else subsets | {" + ".join(subsets): evaluation.total}
    return {f"WER of {name} (%)": f"{score.wer:.2f}" for name, score in scores.items()}


def _recipe(state: checkpoint.TrainingState) -> str:
    """Return preset, optimizer, batch size, learning rate and momentum of the checkpoint's last epoch."""
    params, last = state.params, state.metrics[-1]
    stage = params.stage(last["epoch"])
    momentum = f", momentum {stage.momentum:g}" if params.optimizer.name == "sgd" else ""
    rate = f"learning rate {last['learning_rate']:.2e}"
    return f"{params.preset}: {params.optimizer.name}, batch {stage.batch_size}, {rate}{momentum}"
