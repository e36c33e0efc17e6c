"""The commands: parse, call one function, print."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import params
from speech_recognition import settings
from speech_recognition.errors import DownloadError, InputError

if TYPE_CHECKING:
    from speech_recognition.corpus.manifest import Counts

ROOT = Path(params.__file__).resolve().parent
"""The repository: where datasets, results and reference checksums lie unless something else is asked for."""

REFERENCES = ROOT / "reference_checksums"

_DESCRIPTION = """DeepSpeech2 on LibriSpeech, a training benchmark. COMMAND --help explains each command.

Exit statuses: 0 done; 1 a failure; 2 bad usage or bad input; 3 training ended
without reaching the target; 128 + N stopped by signal N."""

# Every command imports what it needs when it runs: `--help` and `verify` do not wait for torch.


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, _stop)
    try:
        options = _parser().parse_args(arguments)
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except DownloadError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our standard output is gone; what is still buffered for it has no place to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + (_stopped[0] if _stopped else signal.SIGPIPE)


_stopped: list[int] = []
"""The signal that ends the program. A pipe that breaks after it is only its consequence."""


def _stop(number: int, _: FrameType | None) -> NoReturn:
    _stopped.append(number)
    print(f"stopped by {signal.Signals(number).name}", file=sys.stderr)
    raise SystemExit(128 + number)


class _Parser(argparse.ArgumentParser):
    """One line for a usage error, as for every other bad input."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m speech_recognition", description=_DESCRIPTION, formatter_class=_Raw)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for add in (_add_download, _add_synthesize, _add_prepare, _add_verify, _add_train, _add_evaluate, _add_check_log):
        add(commands)
    return parser


_Raw = argparse.RawDescriptionHelpFormatter
_Commands = argparse._SubParsersAction


_OPTIONS = ("all", "clean", "clean_small", "other", "mini")


def _add_option(parser: _Parser) -> None:
    parser.add_argument("dataset", nargs="?", default="all", choices=_OPTIONS, help="mini is embedded (default: all)")
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="folder of the dataset (default: LibriSpeech_dataset, mini_dataset)",
    )


def _data_dir(options: argparse.Namespace) -> Path:
    folder = params.MINI_FOLDER if options.dataset == "mini" else params.LIBRISPEECH_FOLDER
    chosen: Path = options.data_dir or ROOT / folder
    return chosen


def _add_download(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser("download", help="make a dataset ready to train on")
    _add_option(parser)
    add = parser.add_argument
    add("--archives", type=Path, metavar="DIR", help="folder of the archives (default: LibriSpeech_archives)")
    add("--mirror", metavar="URL", help="your own copy of the archives, instead of the public ones")
    parser.set_defaults(run=_download)


def _download(options: argparse.Namespace) -> int:
    from speech_recognition.corpus.catalog import read_catalog
    from speech_recognition.corpus.librispeech import make_librispeech
    from speech_recognition.corpus.mini import make_mini

    if options.dataset == "mini":
        counts = make_mini(_data_dir(options))
    else:
        catalog = read_catalog(REFERENCES / "librispeech.json")
        mirrors = [options.mirror] if options.mirror else catalog.mirrors
        archives = options.archives or ROOT / "LibriSpeech_archives"
        counts = make_librispeech(options.dataset, catalog, _data_dir(options), archives, mirrors)
    _print_counts(counts)
    return 0


def _add_synthesize(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser("synthesize", help="write the embedded corpus in LibriSpeech's own layout")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.set_defaults(run=_synthesize)


def _synthesize(options: argparse.Namespace) -> int:
    from speech_recognition.corpus.mini import synthesize

    synthesize(options.output)
    return 0


def _add_prepare(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser("prepare", help="LibriSpeech's own layout to a dataset ready to train on")
    parser.add_argument("source", type=Path, help="folder of train-*, dev-*, test-* folders with FLAC and .trans.txt")
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR", help="folder of the dataset to make")
    parser.set_defaults(run=_prepare)


def _prepare(options: argparse.Namespace) -> int:
    from speech_recognition.corpus.librispeech import prepare

    _print_counts(prepare(options.source, options.data_dir))
    return 0


def _print_counts(counts: "Counts") -> None:
    for name in ("train", "val", "test"):
        split = getattr(counts, name)
        print(f"{name}: {split.utterances} utterances, {split.seconds / 60:.1f} minutes")


def _add_verify(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser("verify", help="checksum a dataset and compare it with the reference")
    _add_option(parser)
    parser.add_argument("--tar", type=Path, metavar="FILE", help="also keep the tar file whose checksum it is")
    parser.add_argument("--write-reference", action="store_true", help="make this dataset's checksum the reference")
    parser.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    from speech_recognition.corpus import checksum

    data_dir = _data_dir(options)
    if options.write_reference:
        checksum.write_reference(data_dir, REFERENCES, options.dataset)
        return 0
    reference = checksum.find_reference(options.dataset, REFERENCES, data_dir)
    differences = checksum.verify(data_dir, reference, options.tar)
    print("WARNING: Dataset Checksum Failed." if differences else "Dataset Checksum Passed.")
    print(f"sha256 {reference.sha256}, {reference.tar_bytes} bytes, {reference.origin}", file=sys.stderr)
    for difference in differences:
        print(difference)
    return 1 if differences else 0


def _add_train(commands: "_Commands[_Parser]") -> None:
    presets = "\n".join(f"preset {name}:\n{settings.describe(settings.preset(name))}" for name in params.PRESETS)
    parser = commands.add_parser(
        "train",
        help="train until the target WER, evaluating every epoch",
        description="Train until the target WER or the last epoch; exit status 0 if the target was reached, else 3.",
        epilog=f"parameters for --set, with each preset's value:\n\n{presets}",
        formatter_class=_Raw,
    )
    add = parser.add_argument
    add("--preset", default="reference", metavar="NAME", help=f"{', '.join(params.PRESETS)} (default: reference)")
    add("--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="change a parameter (repeatable)")
    add("--seed", type=_seed, metavar="N", help="0 to 4294967295 (default: drawn from the operating system)")
    add("--data-dir", type=Path, metavar="DIR", help="folder of the dataset (default: the preset's, in the repository)")
    add("--train-manifest", "--train_data_dir", type=Path, metavar="FILE", help="instead of the dataset's train.csv")
    add("--val-manifest", "--eval_data_dir", type=Path, metavar="FILE", help="instead of the dataset's val.csv")
    add("--output-dir", "--model_dir", type=Path, metavar="DIR", help="default: results/<preset>_<time>_<seed>")
    add("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:N (default: auto)")
    add("--timed", action="store_true", help="as run_and_time.sh: embedded data, timing block, check of the log")
    parser.set_defaults(run=_train)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 0 to 4294967295")
    return int(text)


def _train(options: argparse.Namespace) -> int:
    from speech_recognition import timed
    from speech_recognition.devices import choose_device
    from speech_recognition.training import preflight, results, run

    chosen = settings.apply(settings.preset(options.preset), options.set)
    data_dir = options.data_dir or ROOT / chosen.data.dataset
    manifests = preflight.Manifests(train=options.train_manifest, val=options.val_manifest)
    seed, device = preflight.draw_seed() if options.seed is None else options.seed, choose_device(options.device)
    folder = preflight.results_folder(chosen, seed, options.output_dir, ROOT / "results")
    if options.timed and not manifests.own:
        status = timed.make_embedded_dataset(chosen, data_dir)
        if status != 0:
            return status
    job = preflight.plan(chosen, seed, device, folder, data_dir, manifests)
    with results.open_folder(job.output_dir, job.params) as output:
        if options.timed:
            return timed.run_and_time(job, output)
        return 0 if run.run(job, output).reached else 3


def _add_evaluate(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser("evaluate", help="score a checkpoint on a manifest")
    parser.add_argument("checkpoint", type=Path, help="a file such as results/.../checkpoints/best.pt")
    parser.add_argument("manifest", type=Path, help="a file such as mini_dataset/manifests/test.csv")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--output", type=Path, metavar="FILE.csv", help="also write a row for each utterance")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from speech_recognition.corpus.manifest import read_manifest
    from speech_recognition.devices import choose_device
    from speech_recognition.evaluation import evaluate, write_rows
    from speech_recognition.files import check_writable
    from speech_recognition.training import checkpoint

    if options.output:
        check_writable(options.output.absolute().parent, 1_000_000, "--output")
    utterances, device = read_manifest(options.manifest), choose_device(options.device)
    trained = checkpoint.load(options.checkpoint, device)
    data = trained.params.data
    result = evaluate(
        trained.model,
        trained.features,
        utterances,
        batch_size=data.eval_batch_size,
        workers=data.workers,
        device=device,
    )
    for name, score in result.by_subset().items():
        print(f"{name}: {score}")
    print(f"all: {result.total}")
    if options.output:
        write_rows(options.output, result)
    return 0


def _add_check_log(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser("check-log", help="check an MLPerf log with the official checker and our rules")
    parser.add_argument("log", type=Path, help="a file such as speech_ds2.out")
    parser.add_argument(
        "--division", choices=["closed", "open"], default="closed", help="whose rules (default: closed)"
    )
    parser.set_defaults(run=_check_log)


def _check_log(options: argparse.Namespace) -> int:
    from speech_recognition.mlperf.check import check_log

    violations = check_log(options.log, options.division)
    for violation in violations:
        print(violation)
    if not violations:
        print("SUCCESS")
    return 1 if violations else 0
