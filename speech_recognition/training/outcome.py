"""The outcome of a run in one line, for the person at the terminal."""

import math

from speech_recognition.durations import duration
from speech_recognition.mlperf.log_table import has_lines, run_seconds
from speech_recognition.runs.folder import RunFolder
from speech_recognition.runs.metrics import read_metrics
from speech_recognition.scoring import target_reached
from speech_recognition.training.job import Job


def outcome(job: Job) -> str:
    """Return a line with a run's verdict, WER, epochs, time and report. The run has ended.

    The time is the sum over those of the run's logs that have both run_start and run_stop: a run that was killed and
    resumed has several logs, and the killed part's log has no end.
    """
    folder, target = RunFolder(job.output_dir), job.params.training.target_wer
    rows = read_metrics(folder.metrics)
    wers, epochs = [row["wer"] for row in rows if row["epoch"] > 0], rows[-1]["epoch"]
    times = [run_seconds(log) for log in folder.logs() if has_lines(log)]
    # NaN is the time of a log that has no run_stop, as a kill leaves it.
    seconds = sum(each for each in times if not math.isnan(each))
    if target_reached(wers[-1], target):
        verdict = f"target reached: WER {wers[-1]:.2f} <= {target:g}"
    else:
        verdict = f"target missed: best WER {min(wers):.2f} > {target:g}"
    return f"{verdict} after {epochs} epoch{'s' * (epochs != 1)}, {duration(seconds)}; report: {folder.page}"
