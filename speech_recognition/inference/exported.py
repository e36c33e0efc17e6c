"""What every exported file says about its model besides the weights."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from speech_recognition import settings
from speech_recognition.alphabet import SYMBOLS
from speech_recognition.errors import InputError
from speech_recognition.files import check_file, open_regular
from speech_recognition.parameters import SAMPLE_RATE, Params

FORMAT = "deepspeech2 1"
"""Name of the content's format and its version, which is raised when its entries change."""

Kind = Literal["onnx", "safetensors", "checkpoint"]


def kind_of(path: Path) -> Kind:
    """Return what the first bytes of a file look like; a file of unknown kind counts as a damaged checkpoint."""
    check_file(path, "")
    try:
        with open_regular(path) as file:
            start = file.read(9)
    except OSError:  # the reader of checkpoints says why
        return "checkpoint"
    if start[8:] == b"{":  # behind the header's length in 8 bytes
        return "safetensors"
    return "onnx" if start[:1] == b"\x08" else "checkpoint"  # the tag of ONNX's first field, ir_version


def describe(params: Params) -> dict[str, str]:
    """Return the entries of an exported file's metadata that other programs need too."""
    sizes = ("window_samples", "hop_samples", "fft_samples", "bins")
    features = dataclasses.asdict(params.features) | {name: getattr(params.features, name) for name in sizes}
    return {
        "format": FORMAT,
        "alphabet": SYMBOLS,
        "features": json.dumps(features | {"sample_rate": SAMPLE_RATE}),
        "parameters": json.dumps(settings.to_dict(params)),
    }


def params_of(path: Path, metadata: Mapping[str, str]) -> Params:
    """Return the parameters in the metadata of the file `path`.

    Raises InputError if the metadata are not those that this version of the program writes.
    """
    try:
        if (metadata.get("format"), metadata.get("alphabet")) != (FORMAT, SYMBOLS):
            raise ValueError(f"its format is {metadata.get('format')!r}, this program reads {FORMAT!r}")
        return settings.from_dict(json.loads(metadata["parameters"]))
    except (KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not exported by this version of the program ({error}); export it again") from None
