"""Options of the commands that turn log-probabilities into text."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from speech_recognition.commands.options import number, whole
from speech_recognition.errors import InputError

if TYPE_CHECKING:
    from speech_recognition.decoding.greedy import Decode


def add_beam_options(parser: argparse.ArgumentParser) -> None:
    """Add `--beam`, `--lm`, `--alpha` and `--beta`, which `chosen_decoder` reads."""
    add = parser.add_argument
    add(
        "--beam",
        type=whole(1, 10_000),
        metavar="N",
        help="search for the likeliest text with N hypotheses (default: 100 with --lm, else the greedy text, which the"
        " benchmark's WER is of)",
    )
    add(
        "--lm",
        type=Path,
        metavar="FILE",
        help="language model, an ARPA file or a binary file of KenLM; only its words are written",
    )
    add("--alpha", type=number(-1000, 1000), metavar="X", help="weight of the language model (default: 0.5)")
    add("--beta", type=number(-1000, 1000), metavar="X", help="score of each word, in nats (default: 1.0)")


def add_nbest_option(parser: argparse.ArgumentParser, text: str) -> None:
    """Add `--nbest`, the number of likeliest texts to keep (0: none), with the help `text`."""
    parser.add_argument("--nbest", type=whole(1, 1000), default=0, metavar="N", help=text)


def chosen_decoder(options: argparse.Namespace) -> "Decode":
    """Return the decoder that the options of `add_beam_options` ask for.

    Raises InputError for a language model that cannot be read, for options without it, and for a missing package.
    """
    weights = {name: value for name in ("alpha", "beta") if (value := getattr(options, name)) is not None}
    if weights and not options.lm:
        raise InputError(f"--{next(iter(weights))}: only with --lm; name a language model or leave it out")
    if options.lm is None and options.beam is None:
        from speech_recognition.decoding.greedy import greedy

        return greedy
    from speech_recognition.decoding.beam import WIDTH, BeamSearch
    from speech_recognition.decoding.language_model import load_language_model
    from speech_recognition.inference.packages import check_installed

    check_installed("flashlight-text", "--lm" if options.lm else "--beam")
    model = load_language_model(options.lm) if options.lm else None
    if model and model.left_out:
        print(
            f"note: {options.lm}: {model.left_out} of its {len(model.words) + model.left_out} words have characters"
            " outside the alphabet and are never written",
            file=sys.stderr,
        )
    return BeamSearch(width=options.beam or WIDTH, language_model=model, **weights)
