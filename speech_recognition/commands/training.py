"""The command that trains a model: train."""

import argparse
import dataclasses
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import params
from speech_recognition import settings
from speech_recognition.commands import REFERENCES, ROOT, WIDTH, Commands
from speech_recognition.commands.options import DEVICES, whole
from speech_recognition.errors import ExitStatus, one_line
from speech_recognition.parameters import Params
from speech_recognition.runtime.allocator import keep_memory

if TYPE_CHECKING:
    import torch

    from speech_recognition.runtime.distributed import Launch
    from speech_recognition.training.job import Job


def add_train(commands: Commands) -> None:
    """Add the command `train`."""
    parser = commands.add_parser(
        "train",
        help="train until the target WER, evaluating every epoch",
        description="Train until the target WER or the last epoch. Exit status 0 if the target was reached, else 3.",
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=WIDTH),
    )
    parser.epilog = _parameters  # type: ignore[assignment]  # called by the parser, for the help only
    add = parser.add_argument
    add("--preset", default="reference", metavar="NAME", help=f"{', '.join(params.PRESETS)} (default: reference)")
    add("--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="change a parameter (repeatable)")
    add(
        "--seed",
        type=whole(0, 2**32 - 1),
        metavar="N",
        help="from 0 to 4294967295 (default: drawn by the operating system)",
    )
    _add_places(parser)
    add("--device", default="auto", metavar="NAME", help=DEVICES)
    add(
        "--num-gpus",
        "--num_gpus",
        type=_count,
        default=1,
        metavar="N",
        help="train on N GPUs of this machine, or in N processes with --device cpu; -1: on all GPUs (default: 1)",
    )
    add(
        "--runs",
        type=whole(1, 1000),
        default=1,
        metavar="N",
        help="train N times with different seeds and print the score (with --timed)",
    )
    add(
        "--timed",
        action="store_true",
        help="run the benchmark: make the mini dataset if it is missing, print the timing block, check the log",
    )
    parser.set_defaults(run=_train, check=_chosen)


def _add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the data and the run's folder; the names with underscores are the model garden's."""
    add = parser.add_argument
    add("--data-dir", type=Path, metavar="DIR", help="folder of the dataset (default: data.dataset)")
    add("--data_dir", dest="data_dir", type=Path, help=argparse.SUPPRESS)  # run_deep_speech.sh's, which explains it
    add(
        "--train-manifest",
        "--train_data_dir",
        type=Path,
        metavar="FILE",
        help="train on FILE, not on the dataset's train.csv",
    )
    add(
        "--val-manifest",
        "--eval_data_dir",
        type=Path,
        metavar="FILE",
        help="evaluate on FILE, not on the dataset's val.csv",
    )
    add(
        "--output-dir",
        "--model_dir",
        type=Path,
        metavar="DIR",
        help="folder of the run (default: results/<preset>_<time>_<seed>)",
    )
    add(
        "--resume",
        type=whole(1, 10_000),
        nargs="?",
        const=_NEWEST,
        metavar="EPOCH",
        help="continue the run in --output-dir (default: the newest run of the preset) from the end of EPOCH (default:"
        " from its newest checkpoint)",
    )


def _parameters() -> str:
    from speech_recognition.commands.parameter_help import FOLLOWED, FOLLOWERS, parameters_help

    return (
        "parameters for --set: NAME=DEFAULT (presets that differ): meaning; bounds\n"
        f"({' and '.join(FOLLOWERS)} have the values of {FOLLOWED} where they are not named)\n\n{parameters_help()}"
    )


_NEWEST = 0
"""Value of `--resume` without an epoch."""


def _count(text: str) -> int:
    if not (text == "-1" or (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024)):
        raise argparse.ArgumentTypeError(f"{text}: must be from 1 to 1024, or -1 for all GPUs")
    return int(text)


def _train(options: argparse.Namespace) -> int:
    if options.runs > 1:
        from speech_recognition.commands.several import train_several

        return train_several(options)
    from speech_recognition.runtime import distributed, launcher, page_cache

    keep_memory()
    launch = distributed.Launch.of(os.environ)
    if launch.local_rank is None and (count := launcher.wanted(options.num_gpus, options.device)) > 1:
        return launcher.start(count, options.arguments)
    with distributed.joined(launch, options.device) as device:
        launch = dataclasses.replace(launch, restarts=distributed.maximum(launch.restarts))
        drops_caches = all(distributed.gather(page_cache.can_drop() if launch.first_on_its_machine else True))
        job = distributed.from_first(lambda: _prepared(options, launch, device, drops_caches))
        return (
            job
            if isinstance(job, ExitStatus)
            else _run(dataclasses.replace(job, device=device, launch=launch), options)
        )


def _chosen(options: argparse.Namespace) -> Params:
    """Return the parameters that --preset and --set choose. Raises InputError for those that cannot be."""
    return settings.apply(settings.preset(options.preset), options.set)


def _prepared(
    options: argparse.Namespace, launch: "Launch", device: "torch.device", drops_caches: bool
) -> "Job | ExitStatus":
    """Return the job of all processes, or the exit status of the run that was to be resumed, if it has ended.

    `drops_caches` says whether every machine may drop its page cache.
    """
    from speech_recognition.training.prepare import NothingLeftError, Places, prepare

    chosen = _chosen(options)
    data_dir = options.data_dir or ROOT / chosen.data.dataset
    given = options.train_manifest.parent if options.train_manifest else options.data_dir
    if given:  # the log, params.json and the report name the data that is used, not the preset's
        used = dataclasses.replace(chosen.data, dataset=one_line(str(given.absolute())))
        chosen = dataclasses.replace(chosen, data=used)
    places = Places(
        data_dir=data_dir,
        train_manifest=options.train_manifest,
        val_manifest=options.val_manifest,
        output_dir=options.output_dir,
        results=ROOT / "results",
        references=REFERENCES,
    )
    if options.timed and not places.own_manifests:
        make_embedded_dataset(chosen, places.data_dir)
    resuming, epoch = options.resume is not None, options.resume or None
    try:
        return prepare(
            chosen,
            options.seed,
            places,
            launch,
            device,
            resuming=resuming,
            epoch=epoch,
            timed=options.timed,
            drops_caches=drops_caches,
        )
    except NothingLeftError as ended:
        return ended.status


def make_embedded_dataset(chosen: Params, data_dir: Path) -> None:
    """Make the embedded dataset in `data_dir`, if the run's preset trains on it and no dataset is there.

    A separate process makes it, so that the training process has read no data when its clock starts. Raises
    VerificationError or ends the program if that process fails.
    """
    from speech_recognition.corpus.counts import counts_path
    from speech_recognition.training import division

    if division.dataset_option(chosen) == "mini" and not counts_path(data_dir).exists():
        division.run_command("download", "mini", "--data-dir", str(data_dir))


def _run(job: "Job", options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.mlperf import system
    from speech_recognition.report import page
    from speech_recognition.runs.folder import open_folder
    from speech_recognition.runs.log import Output
    from speech_recognition.runtime import distributed
    from speech_recognition.training import division, run, timed
    from speech_recognition.training.outcome import outcome

    launch = job.launch
    if job.verified and launch.first_on_its_machine and not distributed.is_first():
        division.verified(job.verified.dataset, job.data_dir, REFERENCES)  # this machine may have its own copy
    gpus = distributed.size() // launch.nodes if job.device.type == "cuda" else 0
    about = vars(job.params.submission)
    command = one_line(shlex.join(["python", "-m", "speech_recognition", *options.arguments]))
    described = distributed.from_first(
        lambda: system.describe(about, nodes=launch.nodes, gpus=gpus, storage=job.data_dir)
    )
    with (
        open_folder(job.output_dir, job.params, described, launch, command) as output,
        page.own_report(job.output_dir, launch),
    ):
        if options.timed:
            status = timed.run_and_time(job, output)
        else:
            status = ExitStatus.DONE if run.run(job, output) else ExitStatus.TARGET_MISSED
    if isinstance(output, Output):
        output.show(outcome(job))
    return status
