"""Tests of the import of the published checkpoint: it is read as torch would read it, and nothing else is."""

import dataclasses
import os
import pickle
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import params
from speech_recognition.batches import synthetic_batch
from speech_recognition.errors import InputError
from speech_recognition.inference.loading import load
from speech_recognition.inference.published import read_published
from speech_recognition.runs import checkpoint
from tests.unit.inference import torch04

NAMES = {
    "conv.0.conv.weight": "conv.0.weight",
    "conv.0.norm.running_var": "conv.1.running_var",
    "conv.1.conv.bias": "conv.3.bias",
    "conv.1.norm.weight": "conv.4.weight",
    "rnn.0.forwards.weight_ih_l0": "rnns.0.rnn.weight_ih_l0",
    "rnn.1.forwards.bias_hh_l0": "rnns.1.rnn.bias_hh_l0",
    "norm.running_mean": "fc.0.module.0.running_mean",
    "linear.weight": "fc.0.module.1.weight",
}


def write(folder: Path, content: Any) -> Path:
    torch04.save(folder / "deepspeech_20.pth.tar", content)
    return folder / "deepspeech_20.pth.tar"


@pytest.mark.parametrize("optimizer", [True, False])
def test_the_weights_are_those_of_the_file(tmp_path: Path, optimizer: bool) -> None:
    content = torch04.published(optimizer)
    read = read_published(write(tmp_path, content))
    for name, old in NAMES.items():
        assert read.weights[name].equal(content["state_dict"][old]), name
    assert len(read.weights) == len(content["state_dict"])
    assert read.epoch == (20 if optimizer else 0)


def test_the_fixtures_are_files_of_torch_but_for_the_numbers_that_only_python_2_wrote(tmp_path: Path) -> None:
    content = torch04.published(optimizer=False)
    read = torch.load(write(tmp_path, content), weights_only=True, map_location="cpu")
    assert all(read["state_dict"][name].equal(value) for name, value in content["state_dict"].items())
    with pytest.raises(pickle.UnpicklingError):
        torch.load(write(tmp_path, torch04.published(optimizer=True)), weights_only=True, map_location="cpu")


def test_the_parameters_are_those_of_2018(tmp_path: Path) -> None:
    read = read_published(write(tmp_path, torch04.published()))
    base = params.mlperf_2018()
    assert read.params == dataclasses.replace(base, model=dataclasses.replace(base.model, rnn_units=8, rnn_layers=2))
    assert (read.params.features.kind, read.params.features.window) == ("linear", "hamming")


@torch.inference_mode()
def test_a_checkpoint_of_this_program_comes_of_it(tmp_path: Path) -> None:
    read = read_published(write(tmp_path, torch04.published()))
    checkpoint.save(tmp_path / "imported.pt", read.state)
    recognizer = load(tmp_path / "imported.pt", torch.device("cpu"))
    assert recognizer.params == read.params
    with torch.inference_mode():
        log_probs, lengths = recognizer.log_probs(synthetic_batch(2, 16_000, 5))
    assert log_probs.exp().sum(-1).sub(1).abs().max() < 1e-4 and lengths.tolist() == [36, 36]


def test_a_model_without_biases_is_one_whose_biases_are_zero(tmp_path: Path) -> None:
    content = torch04.published(state_dict=torch04.published_weights(bias=False))
    weights = read_published(write(tmp_path, content)).weights
    assert len(weights) == len(torch04.published_weights())
    assert not weights["rnn.1.forwards.bias_ih_l0"].any() and weights["rnn.1.forwards.weight_ih_l0"].any()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": "_ABC "}, "its alphabet is '_ABC ', not"),
        ({"audio_conf": {"sample_rate": 8000}}, "it is for audio of 8000 Hz, not of 16000"),
        ({"rnn_type": "transformer"}, "model.rnn_type='transformer': must be one of gru, lstm, rnn"),
        ({"hidden_size": 16}, "the weights do not fit the parameters"),
        ({"hidden_size": 10**6}, "model.rnn_units=1000000: must be from 1 to 16384"),
        (
            {"state_dict": {"conv.seq_module.0.weight": torch.zeros(3)}},
            "its model has a layer conv.seq_module.0,",
        ),
        ({"state_dict": {"rnns.0.\nrnn.x": torch.zeros(3)}}, r"its model has a layer rnns.0.\nrnn,"),
    ],
)
def test_a_different_model_is_refused_with_the_difference(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    path = write(tmp_path, torch04.published(**changes))
    with pytest.raises(InputError) as refusal:
        read_published(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: {reason}") and "\n" not in message
    assert message.endswith("; name the checkpoint that was published with the benchmark of 2018")


class Call:
    """Unpickled by Python, it would make a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Call(os.mkdir, "exploded"), "posix.mkdir"),
        (Call(eval, "1"), "__builtin__.eval"),
        (Call(getattr, "x", "join"), "__builtin__.getattr"),
        (Call(torch.load, "x"), "torch.serialization.load"),
    ],
)
def test_a_call_of_anything_else_is_refused_unmade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, torch04.published(meta=call))
    with pytest.raises(InputError, match=f"it calls {name}, which no checkpoint needs"):
        read_published(path)
    assert os.listdir() == [path.name]


def test_attributes_that_a_file_gives_to_its_dictionaries_are_left_out(tmp_path: Path) -> None:
    content = torch04.published()
    content["state_dict"].values = "nothing to call"
    assert read_published(write(tmp_path, content)).weights


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.002, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    path = write(tmp_path, torch04.published())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError) as refusal:
        read_published(path)
    assert str(refusal.value).startswith(f"{path}: ") and "\n" not in str(refusal.value)
    if share > 0.001:
        assert str(refusal.value) == f"{path}: truncated or damaged; copy it again"


def test_other_formats_are_named(tmp_path: Path) -> None:
    inner = write(tmp_path, torch04.published())
    with tarfile.open(tmp_path / "whole.tar", "w") as archive:
        archive.add(inner, "x.pth")
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as archive:
        archive.add(inner, "x.pth")
    torch.save({"state_dict": {}}, tmp_path / "new.pth")
    (tmp_path / "text.pth").write_text("weights")
    (tmp_path / "other.pth").write_bytes(pickle.dumps({"magic": 1}, protocol=2))
    for name, reason in (
        ("whole.tar", "a tar archive; unpack it and name the file in it"),
        ("whole.tar.gz", "compressed by gzip; unpack it and name the file in it"),
        (
            "new.pth",
            "a checkpoint of torch 1.6 or later; those of this program need no import, and those of deepspeech.pytorch"
            " 3 cannot be imported",
        ),
        ("text.pth", "no checkpoint of torch 0.4; name the checkpoint that was published"),
        ("other.pth", "no checkpoint of torch 0.4; name the checkpoint that was published"),
        ("gone.pth", "No such file or directory; name the checkpoint that was published"),
        (".", "not a regular file; name one"),
    ):
        with pytest.raises(InputError) as refusal:
            read_published(tmp_path / name)
        assert str(refusal.value).startswith(f"{tmp_path / name}: {reason}")


def test_small_files_that_claim_much_memory_are_refused_at_once(tmp_path: Path) -> None:
    once = torch.zeros(1000)
    shared = {f"rnns.{index}.rnn.weight_ih_l0": once for index in range(100)}
    huge_memo = pickle.dumps(torch04.MAGIC, 2)[:-1] + b"r\xff\xff\xff\xff."
    repeated = torch04.published(state_dict={"conv.0.weight": torch.zeros(1).expand(2**40)})
    begin = time.process_time()
    with pytest.raises(InputError, match="its weights share memory"):
        read_published(write(tmp_path, torch04.published(state_dict=shared)))
    with pytest.raises(InputError, match="its weights share memory"):
        read_published(write(tmp_path, repeated))
    (tmp_path / "memo.pth").write_bytes(huge_memo)
    with pytest.raises(InputError, match=r"memo\.pth: no checkpoint"):
        read_published(tmp_path / "memo.pth")
    assert time.process_time() - begin < 5


def test_a_view_that_is_not_a_part_of_its_storage_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, torch04.published(state_dict={"conv.0.weight": torch.arange(8.0)[::2]}))
    with pytest.raises(InputError, match="a tensor in it does not lie in one piece"):
        read_published(path)
    weights = {"conv.0.bias": torch.ones(20)[:3], "conv.0.weight": torch.ones(9)}
    path = write(tmp_path, torch04.published(state_dict=weights))
    path.write_bytes(path.read_bytes().replace(b"K\t\x85", b"K\x0a\x85"))  # the shape (9,) becomes (10,)
    with pytest.raises(InputError, match="a tensor in it is larger than its storage"):
        read_published(path)
