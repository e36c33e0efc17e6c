"""Several runs of `train`, each in its own process (`train --runs N`)."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from speech_recognition import settings
from speech_recognition.commands import ROOT
from speech_recognition.errors import ExitStatus, InputError
from speech_recognition.mlperf import series
from speech_recognition.mlperf.series import RunResult, run_result, write_summary
from speech_recognition.runs.series_folder import SeriesFolder

_PROGRAM = (sys.executable, "-m", "speech_recognition")


def train_several(options: argparse.Namespace) -> ExitStatus:
    """Run the command `train --runs N`: N runs with different seeds; print their table and their score."""
    from speech_recognition.training import prepare

    if not options.timed:
        raise InputError("--runs: is for timed runs; add --timed, or use run_and_time.sh")
    if options.seed is not None:
        raise InputError(f"--seed {options.seed}: each of several runs draws its own seed; leave --seed out")
    if options.resume is not None:
        raise InputError("--resume: continues one run, not a series; leave out --resume or --runs")
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise InputError("--runs: starts the processes of each run itself; use --num-gpus instead of torchrun")
    chosen = settings.apply(settings.preset(options.preset), options.set)
    seeds: list[int] = []
    while len(seeds) < options.runs:
        seeds += {prepare.draw_seed()} - set(seeds)
    folder = prepare.results_folder(chosen, seeds[0], options.output_dir, ROOT / "results", runs=options.runs)
    results = run_several(options.arguments, seeds, SeriesFolder(folder))
    print(series.series_table(results))
    return series.exit_status(results)


def run_several(arguments: Sequence[str], seeds: Sequence[int], folder: SeriesFolder) -> list[RunResult]:
    """Run the command `train` once for each seed, in separate processes, and return the results.

    Each run writes into its own folder in `folder`, and its standard output into its result file. A failed run does
    not end the series; bad input (exit status 2) does. A signal ends the current run and the series with SystemExit.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    results = []
    for number, seed in enumerate(seeds):
        own = ["--runs", "1", "--seed", str(seed), "--output-dir", str(folder.run(number).path)]
        status = _run([*_PROGRAM, *arguments, *own], folder.result(number))
        results.append(run_result(folder, number, seed, status))
        print(f"run {number}: {_line(results[-1])}", file=sys.stderr, flush=True)
        write_summary(folder, results)
        if status == ExitStatus.BAD_INPUT:  # every further run would have the same bad input
            break
    return results


def _run(command: Sequence[str], log: Path) -> int:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise


def _line(result: RunResult) -> str:
    return f"seed {result.seed}, {result.seconds:.0f} s, epochs: {result.epochs}, exit status {result.status}"
