"""A recognizer for inference on a CPU, in which an utterance's batch mates cannot change its text."""

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from speech_recognition.batches import Batch
from speech_recognition.errors import InputError
from speech_recognition.inference.quantized import Precision, pack_layers
from speech_recognition.recognizer import Recognizer


class PackedRecognizer(Recognizer):
    """Recognizer whose utterances meet first in the recurrent layers: `pack` makes one."""

    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return log-probabilities [t, b, symbol] and their lengths [b] in output frames for a batch on the CPU."""
        # Features and convolutions of a padded batch are equal to an utterance's own up to the last bits of a float.
        # Rounded to bfloat16 or 8 bits, those bits can become a whole step.
        rows = [self._convolved(*row) for row in zip(batch.waveforms, batch.lengths, strict=True)]
        x, lengths = pad_sequence([x for x, _ in rows]), torch.cat([length for _, length in rows])
        # The order of `recur` does not matter here: packed layers compute all rows in every output frame.
        return self.model.recur(x, lengths), lengths

    def _convolved(self, waveform: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output of the convolutions [t, d] for one waveform [s], and its length [1] in output frames."""
        samples = max(1, int(length))  # an empty utterance is computed as a sample of padding
        x, lengths = self.model.convolve(*self.features(waveform[None, :samples], length[None]))
        return x[:, 0], lengths


class _InFloat32(nn.Module):
    """A layer that stays in float32 where autocast would compute it in bfloat16."""

    def __init__(self, layer: nn.Module) -> None:
        """Wrap a layer whose weights are in float32."""
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output for x in any precision."""
        with torch.autocast(x.device.type, enabled=False):
            y: Tensor = self.layer(x.float())
        return y


def has_bf16() -> bool:
    """Return whether this CPU multiplies in bfloat16."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def check_machine(precision: Precision) -> None:
    """Raise InputError for a precision that this machine lacks."""
    if precision == "int8" and "fbgemm" not in torch.backends.quantized.supported_engines:
        raise InputError("--precision int8: this torch lacks FBGEMM, which needs an x86-64 CPU; use fp32")
    if precision == "bf16" and not has_bf16():
        raise InputError("--precision bf16: this CPU lacks AVX512; use fp32 or int8")


def pack(recognizer: Recognizer, precision: Precision) -> PackedRecognizer:
    """Return the recognizer with its recurrent layers packed in `precision`; the model is changed in place.

    Convolutions stay as they are. Raises InputError for int8 in a model whose layers are no GRUs, and for a precision
    that this machine lacks.
    """
    kind = recognizer.params.model.rnn_type
    if precision == "int8" and kind != "gru":
        raise InputError(f"--precision int8: only models with GRU layers have it, this one has model.rnn_type={kind}")
    check_machine(precision)
    pack_layers(recognizer.model, precision)
    # bfloat16 would round logits between 8 and 16 to multiples of 1/16, which alone changed texts of `mini`.
    recognizer.model.register_module("linear", _InFloat32(recognizer.model.linear))
    return PackedRecognizer(**{each.name: getattr(recognizer, each.name) for each in dataclasses.fields(recognizer)})
