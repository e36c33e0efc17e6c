"""Tests of weights as safetensors: what comes back computes the same, and damaged files are refused."""

import dataclasses
import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from speech_recognition import settings
from speech_recognition.alphabet import SYMBOLS
from speech_recognition.batches import synthetic_batch
from speech_recognition.cli import main
from speech_recognition.errors import InputError
from speech_recognition.inference import weights
from speech_recognition.inference.export import export
from speech_recognition.inference.loading import load, read_state
from speech_recognition.runs import checkpoint

CPU = torch.device("cpu")
BATCH = synthetic_batch(3, 16_000, 5)

Save = Callable[..., Path]


@pytest.mark.parametrize("precision", [None, "bf16", "int8"])
@torch.inference_mode()
def test_weights_in_fp32_compute_as_the_checkpoint_in_every_precision(save_model: Save, precision: str) -> None:
    path = save_model("x.pt")
    export(path, path.with_name("x.safetensors"), "fp32")
    try:
        one, other = (load(each, CPU, precision) for each in (path, path.with_name("x.safetensors")))  # type: ignore[arg-type]
    except InputError as error:
        pytest.skip(str(error))
    assert one.params == other.params
    assert one.log_probs(BATCH)[0].equal(other.log_probs(BATCH)[0])


@pytest.mark.parametrize("assignments", [[], ["model.precision=bf16", "model.merge=concat"]])
@torch.inference_mode()
def test_an_int8_file_computes_as_the_checkpoint_in_int8(save_model: Save, assignments: list[str]) -> None:
    path = save_model("x.pt", *assignments)
    export(path, path.with_name("x.safetensors"), "int8")
    one, other = load(path, CPU, "int8"), load(path.with_name("x.safetensors"), CPU)
    assert one.log_probs(BATCH)[0].equal(other.log_probs(BATCH)[0])
    assert one.transcribe(BATCH) == other.transcribe(BATCH) and any(one.transcribe(BATCH))
    assert one.params == other.params


def test_an_int8_file_has_a_byte_for_each_recurrent_weight(save_model: Save) -> None:
    path = save_model("x.pt", "model.rnn_units=200")
    for name, precision in (("four.safetensors", "fp32"), ("one.safetensors", "int8")):
        export(path, path.with_name(name), precision)  # type: ignore[arg-type]
    sizes = [path.with_name(name).stat().st_size for name in ("four.safetensors", "one.safetensors")]
    recurrent = sum(
        each.numel() for name, each in checkpoint.read(path).model.items() if "weight" in name and "_l0" in name
    )
    assert sizes[0] - sizes[1] == pytest.approx(3 * recurrent, rel=0.03)


def test_a_file_that_cannot_be_written_is_one_line_and_others_may_read_one_that_can(
    save_model: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, output = save_model(), tmp_path / "weights" / "a.safetensors"
    assert main(["export", str(checkpoint), "--output", str(output)]) == 0
    assert output.stat().st_mode & 0o777 == checkpoint.stat().st_mode & 0o777

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["export", str(checkpoint), "--output", str(output)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {output}: No space left on device"
    assert [each.name for each in output.parent.iterdir()] == ["a.safetensors"]


def test_the_metadata_say_how_to_use_the_weights(save_model: Save) -> None:
    path = save_model("x.pt")
    export(path, path.with_name("x.safetensors"), "fp32")
    with safe_open(path.with_name("x.safetensors"), framework="pt") as file:
        metadata = file.metadata()
    parameters = checkpoint.read(path).params
    assert metadata["alphabet"] == SYMBOLS
    assert json.loads(metadata["features"])["hop_samples"] == parameters.features.hop_samples
    assert settings.from_dict(json.loads(metadata["parameters"])) == parameters


@pytest.mark.parametrize("damage", ["truncated", "flipped", "header", "foreign"])
def test_a_damaged_or_foreign_file_is_one_line(save_model: Save, damage: str) -> None:
    checkpoint_path = save_model("x.pt")
    path = checkpoint_path.with_name("x.safetensors")
    export(checkpoint_path, path, "int8")
    whole = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(whole[:-100])
    elif damage == "flipped":
        path.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    elif damage == "header":
        path.write_bytes(whole[:8] + b"{" * 100 + whole[108:])
    else:
        save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(InputError) as refusal:
        load(path, CPU)
    assert str(refusal.value).startswith(f"{path}: ") and "\n" not in str(refusal.value)


@pytest.mark.parametrize("change", ["missing", "shape", "type", "scales"])
def test_a_forged_int8_file_is_refused(save_model: Save, change: str) -> None:
    checkpoint_path = save_model("x.pt")
    path = checkpoint_path.with_name("x.safetensors")
    export(checkpoint_path, path, "int8")
    read = weights.read_weights(path)
    tensors = dict(read.tensors)
    if change == "missing":
        del tensors["rnn.0.forwards.weight_hh_l0.scales"]
    elif change == "shape":
        tensors["rnn.0.forwards.weight_hh_l0.values"] = torch.zeros(3, 3, dtype=torch.int8)
    elif change == "type":
        tensors["rnn.0.forwards.weight_hh_l0.values"] = tensors["rnn.0.forwards.weight_hh_l0.values"].float()
    else:
        tensors["rnn.0.forwards.weight_hh_l0.scales"] = torch.ones(3)
    with pytest.raises(InputError, match=r"x\.safetensors: its weights do not fit its parameters"):
        weights.int8_recognizer(dataclasses.replace(read, tensors=tensors), path)


def test_what_an_exported_file_lacks_is_said(save_model: Save) -> None:
    path = save_model("x.pt")
    for name, precision in (("eight.safetensors", "int8"), ("x.onnx", "fp32")):
        export(path, path.with_name(name), precision)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="holds no weights in fp32; name the checkpoint"):
            read_state(path.with_name(name))
    with pytest.raises(InputError, match=r"--precision fp32: .* was exported in int8; leave it out"):
        load(path.with_name("eight.safetensors"), CPU, "fp32")
    with pytest.raises(InputError, match=r"--precision int8: only GRUs have it, not model\.rnn_type=lstm"):
        export(save_model("lstm.pt", "model.rnn_type=lstm"), path.with_name("lstm.safetensors"), "int8")


def test_exported_weights_can_be_exported_again(save_model: Save) -> None:
    path = save_model("x.pt")
    first, second = path.with_name("1.safetensors"), path.with_name("2.safetensors")
    export(path, first, "fp32")
    export(first, second, "fp32")
    original = checkpoint.read(path).model
    for exported in (first, second):
        found = load_file(exported)
        assert found.keys() == original.keys() and all(found[name].equal(each) for name, each in original.items())
