"""ONNX files: written from a trained model, and run by ONNX Runtime on the CPU.

The file's metadata say what a program needs besides the graph: the alphabet, the features and all parameters. Its last
bytes are a digest of all bytes before them, as one more entry of the metadata: a protobuf message may be continued by
appending to it. ONNX Runtime runs a file in which a byte has changed.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import torch
import xxhash
from torch import Tensor

from speech_recognition.batches import Batch
from speech_recognition.decoding.greedy import greedy
from speech_recognition.errors import InputError, one_line
from speech_recognition.features import Features
from speech_recognition.files import atomic_write, open_regular
from speech_recognition.inference.exported import describe, params_of
from speech_recognition.inference.packages import check_installed
from speech_recognition.model import DeepSpeech2
from speech_recognition.parameters import Params

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_LARGEST = 2**31 - 2**20
"""Most bytes of a file: protobuf's limit is 2 GB."""


def write_onnx(path: Path, params: Params, model: DeepSpeech2) -> None:
    """Write a model in float32 as an ONNX file. params: of the run that trained it.

    Raises InputError if a package is missing or the model is too large for the format.
    """
    check_installed("onnx", f"{path}")
    from onnx import helper

    from speech_recognition.inference.onnx_graph import build_graph

    size = sum(weight.numel() * 4 for weight in model.state_dict().values())
    if size > _LARGEST:
        raise InputError(f"{path}: the model has {size / 1e9:.1f} GB, an ONNX file 2 at most; export a .safetensors")
    graph = build_graph(model, params.features.bins)
    helper.set_model_props(graph, describe(params))
    content = graph.SerializeToString()
    with atomic_write(path) as partial:
        partial.write_bytes(content + _digest_entry(xxhash.xxh3_128(content).hexdigest()))


def _digest_entry(digest: str) -> bytes:
    """Return the bytes that append the entry `digest` to the metadata of a serialised model."""
    pairs = b"".join(bytes([tag, len(text)]) + text for tag, text in ((0x0A, b"digest"), (0x12, digest.encode())))
    return bytes([0x72, len(pairs)]) + pairs  # field 14 of ModelProto, metadata_props: key (1) and value (2)


_ENTRY_BYTES = len(_digest_entry("0" * 32))


@dataclass(frozen=True, kw_only=True)
class OnnxRecognizer:
    """A model that ONNX Runtime computes, with the features that it was made for: an `AnyRecognizer`."""

    params: Params
    """Parameters of the run that trained the model."""
    features: Features
    """Features, from waveforms to spectrograms, which torch computes."""
    session: "InferenceSession"
    """Model, from spectrograms to log-probabilities."""

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return self.features.window.device

    @torch.inference_mode()
    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return log-probabilities [t, b, symbol] and their lengths [b] in output frames for a batch on any device."""
        batch = batch.to(self.device)
        spectrograms, frames = self.features(batch.waveforms, batch.lengths)
        inputs = {"spectrograms": spectrograms.contiguous().numpy(), "frames": frames.numpy()}
        log_probs, lengths = self.session.run(["log_probs", "lengths"], inputs)
        return torch.from_numpy(log_probs), torch.from_numpy(lengths)

    def transcribe(self, batch: Batch) -> list[str]:
        """Return the greedy text of each utterance of a batch on any device."""
        return greedy(*self.log_probs(batch))


def load_onnx(path: Path) -> OnnxRecognizer:
    """Return the recognizer of an exported ONNX file, which computes on the CPU with torch's number of threads.

    Raises InputError, which names the file, if it is damaged or foreign, or if ONNX Runtime is missing.
    """
    check_installed("onnxruntime", f"{path}")
    import onnxruntime

    with open_regular(path) as file:
        if not _is_whole(file):
            raise InputError(f"{path}: no ONNX file that `export` wrote, or damaged; export it again")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # errors are raised; ONNX Runtime would print them too
    # Its threads would take the cores that the features need while they wait for work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's have no common base
        raise InputError(f"{path}: cannot be run ({one_line(str(error)[:200])}); export it again") from None
    params = params_of(path, session.get_modelmeta().custom_metadata_map)
    return OnnxRecognizer(params=params, features=Features(params.features), session=session)


def _is_whole(file: BinaryIO) -> bool:
    """Return whether a file ends in the digest of what stands before it."""
    size = file.seek(0, os.SEEK_END) - _ENTRY_BYTES
    if size <= 0:
        return False
    file.seek(0)
    digest = xxhash.xxh3_128()
    for start in range(0, size, 2**24):
        digest.update(file.read(min(2**24, size - start)))
    return file.read() == _digest_entry(digest.hexdigest())
