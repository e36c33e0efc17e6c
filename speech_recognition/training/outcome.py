"""The outcome of a run in one line, for the person at the terminal."""

from pathlib import Path

from speech_recognition.mlperf.log_table import run_seconds
from speech_recognition.runs.csv_tables import read_table
from speech_recognition.runs.folder import RunFolder
from speech_recognition.scoring import target_reached
from speech_recognition.training.job import Job


def outcome(job: Job, log: Path) -> str:
    """Return whether a run that has ended reached its target, after how many epochs and minutes, and its report."""
    folder, target = RunFolder(job.output_dir), job.params.training.target_wer
    rows = read_table(folder.metrics)
    wers, epochs = [float(row["wer"]) for row in rows], int(rows[-1]["epoch"])
    minutes, seconds = divmod(round(run_seconds(log)), 60)
    if target_reached(wers[-1], target):
        verdict = f"target reached: WER {wers[-1]:.2f} <= {target:g}"
    else:
        verdict = f"target missed: best WER {min(wers):.2f} > {target:g}"
    return f"{verdict} after {epochs} epochs, {minutes} min {seconds} s; report: {folder.page}"
