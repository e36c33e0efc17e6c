"""The command that scores a model: evaluate."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from speech_recognition.commands import Commands
from speech_recognition.commands.decoding import add_beam_options, add_nbest_option, chosen_decoder
from speech_recognition.commands.inference import add_inference_options, prepare_device, print_scores
from speech_recognition.commands.options import check_output
from speech_recognition.errors import ExitStatus, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from speech_recognition.corpus.manifest import Utterance
    from speech_recognition.decoding.greedy import Decode


def add_evaluate(commands: Commands) -> None:
    """Add the command `evaluate`."""
    parser = commands.add_parser(
        "evaluate",
        help="print the error rates of a checkpoint, or of every epoch of a run",
        description="Given a checkpoint, print its word and character error rates (WER, CER) in percent, for each"
        " subset and for all. Given a run's folder, print a table with the WER of every epoch.",
    )
    add = parser.add_argument
    add("checkpoint", type=Path, help="a file such as results/.../checkpoints/best.pt, or the folder of a run")
    add("manifest", type=Path, nargs="+", help="a file such as mini_dataset/manifests/test.csv")
    add_inference_options(parser)
    add_beam_options(parser)
    add_nbest_option(
        parser,
        "with --beam or --lm: also print the WER of the best of each utterance's N likeliest texts (the oracle), and"
        " write these texts to --output",
    )
    add(
        "--output",
        type=Path,
        metavar="FILE.csv",
        help="also write a row for each utterance, or for each epoch of a run",
    )
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.corpus.manifest import read_manifest

    if options.nbest and (not (options.beam or options.lm) or options.checkpoint.is_dir()):
        raise InputError(
            "--nbest: lists what a beam search finds; add --beam or --lm, and name a checkpoint, not a run"
        )
    if options.output:
        check_output(options.output)
    decode = chosen_decoder(options)
    sets, device = [read_manifest(path) for path in options.manifest], prepare_device(options)
    if options.checkpoint.is_dir():
        _print_epochs(options, sets, device, decode)
    else:
        _print_one(options, [utterance for each in sets for utterance in each], device, decode)
    return ExitStatus.DONE


def _print_one(
    options: argparse.Namespace, utterances: "Sequence[Utterance]", device: "torch.device", decode: "Decode"
) -> None:
    """Print the error rates of a checkpoint or an exported file; write --output."""
    from speech_recognition.decoding.beam import BeamSearch
    from speech_recognition.evaluation import evaluate, evaluate_nbest
    from speech_recognition.inference.loading import load
    from speech_recognition.runs.utterances import write_utterances
    from speech_recognition.scoring import Score

    recognizer = load(options.checkpoint, device, options.precision)
    if options.nbest and isinstance(decode, BeamSearch):
        result = evaluate_nbest(recognizer, utterances, decode, options.nbest)
    else:
        result = evaluate(recognizer, utterances, decode=decode)
    print_scores(result)
    if options.nbest:
        print(f"best of {options.nbest}: {sum(result.oracle, Score())}")
    if options.output:
        write_utterances(options.output, result)


def _print_epochs(
    options: argparse.Namespace, sets: "Sequence[Sequence[Utterance]]", device: "torch.device", decode: "Decode"
) -> None:
    """Print a table with the WER of every epoch of a run; write --output."""
    from speech_recognition.inference.loading import recognizer_of
    from speech_recognition.runs.csv_tables import write_table
    from speech_recognition.training import quality_table

    rows: list[quality_table.Row] = []
    load_state = partial(recognizer_of, device=device, precision=options.precision)
    for row in quality_table.evaluate_epochs(options.checkpoint, sets, load_state, decode):
        if not rows:
            print(quality_table.markdown_head(row))
        print(quality_table.markdown(row), flush=True)
        rows.append(row)
    if options.output:
        write_table(options.output, rows)
