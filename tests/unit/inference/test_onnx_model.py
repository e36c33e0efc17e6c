"""Tests of ONNX files: they compute what the model computes, say what they are, and are refused when damaged."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
import xxhash
from torch.nn.utils.rnn import pad_sequence

import params
from speech_recognition import settings
from speech_recognition.alphabet import SYMBOLS
from speech_recognition.batches import Batch, nothing
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.errors import InputError
from speech_recognition.evaluation import evaluate
from speech_recognition.inference.export import export
from speech_recognition.inference.loading import load
from speech_recognition.inference.onnx_model import OnnxRecognizer, load_onnx, write_onnx
from speech_recognition.parameters import Params
from speech_recognition.recognizer import Recognizer, new_recognizer

CPU = torch.device("cpu")
SMALL = ["model.conv_channels=2", "model.rnn_units=8", "model.precision=fp32"]
MODELS = {
    "mini": settings.apply(params.mini(), SMALL),
    "reference": settings.apply(params.reference(), SMALL),
    "tensorflow": settings.apply(params.tensorflow(), SMALL),
    "lstm": settings.apply(params.mini(), [*SMALL, "model.rnn_type=lstm", "model.linear_bias=true"]),
    "rnn": settings.apply(params.reference(), [*SMALL, "model.rnn_type=rnn", "model.bidirectional=true"]),
}
LENGTHS = [24_000, 16_000, 9_000, 5_000, 3_000, 161, 1, 0]
"""In samples; the shortest have one frame, the reference's convolutions need 31."""


def trained(chosen: Params) -> Recognizer:
    """A recognizer none of whose weights and statistics is 0 or 1."""
    recognizer, draw = new_recognizer(chosen, 1, CPU), torch.Generator().manual_seed(2)
    for value in recognizer.model.state_dict().values():
        value += torch.rand(value.shape, generator=draw) * (0.1 if value.ndim > 1 else 0.5)
    recognizer.model.eval()
    return recognizer


def batch_of(lengths: list[int]) -> Batch:
    draw = torch.Generator().manual_seed(3)
    waveforms = [torch.randint(-3000, 3000, (length,), generator=draw, dtype=torch.int16) for length in lengths]
    nothing, count = torch.zeros(len(lengths), dtype=torch.int64), torch.arange(len(lengths))
    return Batch(pad_sequence(waveforms, batch_first=True), torch.tensor(lengths), nothing[:, None], nothing, count)


def written(folder: Path, recognizer: Recognizer) -> OnnxRecognizer:
    write_onnx(folder / "model.onnx", recognizer.params, recognizer.model)
    return load_onnx(folder / "model.onnx")


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_it_computes_what_the_model_computes_at_any_length(tmp_path: Path, name: str) -> None:
    recognizer = trained(MODELS[name])
    runtime = written(tmp_path, recognizer)
    for lengths in (LENGTHS, LENGTHS[:1], LENGTHS[3:6], [5_000, 24_000, 1]):
        batch = batch_of(lengths)
        (expected, frames), (found, also) = recognizer.log_probs(batch), runtime.log_probs(batch)
        assert frames.equal(also)
        assert found.shape == expected.shape
        for row, length in enumerate(frames):
            torch.testing.assert_close(found[:length, row], expected[:length, row], atol=1e-4, rtol=0)
        assert runtime.transcribe(batch) == recognizer.transcribe(batch)


def test_the_placeholder_of_a_process_without_work_has_no_text(tmp_path: Path) -> None:
    assert written(tmp_path, trained(MODELS["mini"])).transcribe(nothing()) == [""]


def test_the_result_of_an_utterance_is_independent_of_its_batch(tmp_path: Path) -> None:
    runtime = written(tmp_path, trained(MODELS["mini"]))
    together, lengths = runtime.log_probs(batch_of(LENGTHS))
    alone, _ = runtime.log_probs(Batch(*(part[2:3] for part in batch_of(LENGTHS))))
    torch.testing.assert_close(together[: lengths[2], 2], alone[: lengths[2], 0], atol=1e-5, rtol=1e-5)


def test_an_evaluation_has_the_same_texts(tmp_path: Path, tone_dataset: Path, save_model: Callable[..., Path]) -> None:
    path, utterances = save_model(), read_manifest(tone_dataset / "manifests" / "val.csv")
    export(path, tmp_path / "model.onnx", "fp32")
    one, other = (evaluate(load(each, CPU), utterances) for each in (path, tmp_path / "model.onnx"))
    assert one.hypotheses == other.hypotheses and any(one.hypotheses)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_whatever_the_training_computed_in_the_file_is_in_fp32(
    tmp_path: Path, save_model: Callable[..., Path], precision: str
) -> None:
    export(save_model("x.pt", f"model.precision={precision}"), tmp_path / "x.onnx", "fp32")
    export(save_model("y.pt"), tmp_path / "y.onnx", "fp32")
    one, other = (load(tmp_path / name, CPU) for name in ("x.onnx", "y.onnx"))
    assert one.log_probs(batch_of(LENGTHS))[0].equal(other.log_probs(batch_of(LENGTHS))[0])
    assert one.params.model.precision == precision, "the run's own parameters"


def test_the_file_is_valid_and_its_metadata_say_how_to_use_it(tmp_path: Path) -> None:
    written(tmp_path, trained(MODELS["tensorflow"]))
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [(each.name, each.shape) for each in (*session.get_inputs(), *session.get_outputs())] == [
        ("spectrograms", ["batch", 161, "time"]),
        ("frames", ["batch"]),
        ("log_probs", ["output_time", "batch", 29]),
        ("lengths", ["batch"]),
    ]
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["alphabet"] == SYMBOLS
    assert settings.from_dict(json.loads(metadata["parameters"])) == MODELS["tensorflow"]
    features = json.loads(metadata["features"])
    assert {"kind": "power", "window": "hann", "window_samples": 320, "hop_samples": 160}.items() <= features.items()
    assert features["sample_rate"] == 16_000 and features["bins"] == 161


@pytest.mark.parametrize("damage", ["truncated", "flipped", "longer", "foreign", "no model", "other version"])
def test_a_damaged_or_foreign_file_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], damage: str) -> None:
    path = tmp_path / "model.onnx"
    written(tmp_path, trained(MODELS["mini"]))
    whole = path.read_bytes()
    changed: dict[str, Callable[[], Any]] = {
        "truncated": lambda: path.write_bytes(whole[: len(whole) // 2]),
        "flipped": lambda: path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]),
        "longer": lambda: path.write_bytes(whole + b"\0"),
        "foreign": lambda: onnx.save(onnx.ModelProto(ir_version=8), path),
        "no model": lambda: seal(path, b"\x08\x08nothing of ONNX"),
        "other version": lambda: seal(path, whole[:-44].replace(b"deepspeech2 1", b"deepspeech2 9")),
    }
    changed[damage]()
    with pytest.raises(InputError) as refusal:
        load(path, CPU)
    assert str(refusal.value).startswith(f"{path}: ") and "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")
    if damage == "other version":
        assert "its format is 'deepspeech2 9', this program reads 'deepspeech2 1'" in str(refusal.value)


def seal(path: Path, content: bytes) -> None:
    """Write `content` with the digest of a whole file."""
    digest = xxhash.xxh3_128(content).hexdigest().encode()
    entry = onnx.ModelProto(metadata_props=[onnx.StringStringEntryProto(key="digest", value=digest.decode())])
    path.write_bytes(content + entry.SerializeToString())


def test_a_different_precision_is_refused(tmp_path: Path) -> None:
    written(tmp_path, trained(MODELS["mini"]))
    path = tmp_path / "model.onnx"
    assert load(path, CPU, "fp32")
    with pytest.raises(InputError, match=f"--precision int8: {path} was exported in fp32; leave it out"):
        load(path, CPU, "int8")


def test_a_model_beyond_the_formats_size_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speech_recognition.inference.onnx_model._LARGEST", 1000)
    with pytest.raises(InputError, match=r"model\.onnx: the model has 0\.0 GB, an ONNX file 2 at most"):
        written(tmp_path, trained(MODELS["mini"]))
    assert os.listdir(tmp_path) == []
