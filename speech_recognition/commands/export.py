"""The commands that convert models: export, import, lm."""

import argparse
from pathlib import Path

from speech_recognition.commands import Commands
from speech_recognition.commands.options import check_output, whole
from speech_recognition.errors import ExitStatus


def add_export(commands: Commands) -> None:
    """Add the command `export`."""
    parser = commands.add_parser(
        "export",
        help="write a trained model as an ONNX file or as weights",
        description="Write the model of a checkpoint as an ONNX graph with free time and batch (.onnx), or its weights"
        " (.safetensors). `evaluate` and the other commands of inference take both.",
    )
    add = parser.add_argument
    add("checkpoint", type=Path, help="a file such as results/.../checkpoints/best.pt")
    add("--output", type=Path, required=True, metavar="FILE", help="file to write: .onnx or .safetensors")
    add(
        "--precision",
        choices=["fp32", "int8"],
        default="fp32",
        help="int8: recurrent weights in 8 bits, a quarter of the size, only as .safetensors (default: fp32)",
    )
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.inference.export import check_format, export

    check_format(options.output, options.precision)
    check_output(options.output)
    export(options.checkpoint, options.output, options.precision)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB")
    return ExitStatus.DONE


def add_import(commands: Commands) -> None:
    """Add the command `import`."""
    parser = commands.add_parser(
        "import",
        help="convert the checkpoint that was published in 2018",
        description="Convert a checkpoint of the MLPerf reference of 2018 (.pth.tar, written by torch 0.4) to one of"
        " this program. No code in the file is run.",
    )
    parser.add_argument("file", type=Path, help="a file such as deepspeech_20.pth.tar")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.pt", help="checkpoint to write")
    parser.set_defaults(run=_import)


def _import(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.inference.published import read_published
    from speech_recognition.runs import checkpoint

    published = read_published(options.file)
    size = sum(weight.nbytes for weight in published.weights.values())
    check_output(options.output, needed_bytes=size + 1_000_000)
    checkpoint.save(options.output, published.state)
    model = published.params.model
    print(f"{options.output}: {model.rnn_layers} {model.rnn_type} layers of {model.rnn_units}, epoch {published.epoch}")
    return ExitStatus.DONE


def add_lm(commands: Commands) -> None:
    """Add the command `lm`."""
    parser = commands.add_parser(
        "lm",
        help="make a language model from text",
        description="Count the n-grams of text and write a language model (Witten-Bell) as an ARPA file, for --lm and"
        " for KenLM.",
    )
    add = parser.add_argument
    add(
        "text", type=Path, nargs="+", help="a text file with a sentence in each line, or a manifest (.csv, .tsv, .json)"
    )
    add(
        "--order",
        type=whole(2, 6),
        default=3,
        metavar="N",
        help="words of the longest n-grams, from 2 to 6, which KenLM reads (default: 3)",
    )
    add("--output", type=Path, required=True, metavar="FILE.arpa", help="file to write")
    parser.set_defaults(run=_lm)


def _lm(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.decoding.ngrams import count, read_sentences, write_arpa

    check_output(options.output)
    ngrams = count(read_sentences(options.text), options.order)
    write_arpa(options.output, ngrams)
    print(f"{options.output}: {ngrams}")
    return ExitStatus.DONE
