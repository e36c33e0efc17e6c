"""The command that has LoadGen, MLPerf inference's load generator, test a model: benchmark."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from speech_recognition.commands import WIDTH, Commands
from speech_recognition.commands.inference import add_inference_options, load_model, print_scores
from speech_recognition.commands.options import number, whole
from speech_recognition.errors import ExitStatus

if TYPE_CHECKING:
    from speech_recognition.corpus.manifest import Utterance
    from speech_recognition.inference.loadgen_folder import Done

_SCENARIOS = ("SingleStream", "MultiStream", "Offline", "Server")


def add_benchmark(commands: Commands) -> None:
    """Add the command `benchmark`."""
    parser = commands.add_parser(
        "benchmark",
        help="measure a model's speed or accuracy with MLPerf's LoadGen",
        description="Have LoadGen, the load generator of MLPerf inference, test a model. Exit status 1 if LoadGen finds"
        " the run not valid. Without --official a run takes seconds and is labelled unofficial.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=WIDTH),
    )
    add = parser.add_argument
    add("checkpoint", type=Path, help="a file such as results/.../checkpoints/best.pt, or an exported one")
    add("manifest", type=Path, help="a file such as mini_dataset/manifests/test.csv")
    add(
        "--scenario",
        required=True,
        choices=_SCENARIOS,
        help="SingleStream: an utterance at a time; MultiStream: 8 at a time; Offline: all at once; Server: each at a"
        " random moment, to be answered within 1000 ms",
    )
    add(
        "--mode",
        choices=("performance", "accuracy"),
        default="performance",
        help="performance: speed; accuracy: WER, each utterance once (default: performance)",
    )
    add("--official", action="store_true", help="run as long as MLPerf asks: 600 s at least (default: 1 s at least)")
    add("--output-dir", type=Path, required=True, metavar="DIR", help="folder of the results, in MLPerf's layout")
    add(
        "--batch-size",
        type=whole(1, 100_000),
        metavar="N",
        help="most utterances computed together, of those that wait (default: data.eval_batch_size)",
    )
    add(
        "--target-qps",
        type=number(0, 1_000_000, above=True),
        metavar="N",
        help="Server: utterances sent per second; Offline: utterances expected per second (default: from the speed"
        " measured before the run)",
    )
    add(
        "--system",
        type=Path,
        metavar="FILE.json",
        help="JSON file of facts about the machine, which replace those that are found",
    )
    add_inference_options(parser)
    parser.set_defaults(run=_benchmark)


def _benchmark(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.corpus.manifest import read_manifest
    from speech_recognition.evaluation import Evaluation
    from speech_recognition.files import check_writable
    from speech_recognition.inference.loadgen import load_generator
    from speech_recognition.runtime import separate

    load_generator()  # missing: said before anything is read
    check_writable(options.output_dir, 100_000_000, "--output-dir")
    # LoadGen takes MLPerf's settings into account only in the first run of a process.
    done = separate.call(_run, options, read_manifest(options.manifest))
    if isinstance(done.result, Evaluation):
        print_scores(done.result)
        valid = True
    else:
        valid = done.result.valid
        print(f"{done.plan.label}: {'VALID' if valid else f'INVALID: {done.result.reasons}'}\n{done.result.figure}")
    print(f"logs: {done.logs}")
    return ExitStatus.DONE if valid else ExitStatus.FAILURE


def _run(options: argparse.Namespace, utterances: "list[Utterance]") -> "Done":
    """Make the run in this process, and return what came of it."""
    from speech_recognition.inference.loadgen_folder import Subject, benchmark, describe
    from speech_recognition.inference.loadgen_plan import Plan
    from speech_recognition.inference.loading import precision_of

    recognizer = load_model(options.checkpoint, options)
    plan = Plan(
        scenario=options.scenario,
        mode=options.mode,
        official=options.official,
        utterances=len(utterances),
        batch_size=options.batch_size or recognizer.params.data.eval_batch_size,
        target_qps=options.target_qps,
    )
    subject = Subject(
        checkpoint=options.checkpoint,
        manifest=options.manifest,
        precision=precision_of(options.checkpoint, recognizer, options.precision),
        system=describe(recognizer.params.submission, recognizer.device, options.manifest, options.system),
    )
    return benchmark(recognizer, utterances, plan, subject, options.output_dir)
