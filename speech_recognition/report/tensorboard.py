"""The curves of a run as TensorBoard event files."""

from pathlib import Path

from speech_recognition.errors import InputError
from speech_recognition.report.record import Record


def write_events(folder: Path, record: Record) -> None:
    """Write the figures of the run's steps and epochs into a new folder in `folder` that has the run's name.

    TensorBoard's step is the number of utterances trained on, so that curves of different batch sizes can be compared.
    Raises InputError if the folder exists, because TensorBoard would draw its old events too, or if TensorBoard is not
    installed.
    """
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        raise InputError("--tensorboard: tensorboard is not installed; pip install tensorboard") from None
    own = folder / record.name
    if own.exists():
        raise InputError(f"--tensorboard {folder}: has {record.name} already; choose a different folder")
    samples = record.train_samples or 0
    with SummaryWriter(own) as writer:
        for row in record.steps.to_dict("records"):
            step = int((row["epoch"] - 1) * samples + row["utterances"])
            rates = {
                "train/loss so far in the epoch": row["loss"] / max(row["utterances"], 1),
                "train/learning rate": row["learning_rate"],
                "train/audio seconds per second": row["audio"] / max(row["seconds"], 1e-9),
            }
            for name, value in rates.items():
                writer.add_scalar(name, value, step)
        for row in record.epochs.to_dict("records"):
            for column, value in row.items():
                if column == "cer" or str(column).startswith("wer"):
                    writer.add_scalar(f"val/{column}", value, int(row["epoch"] * samples))
