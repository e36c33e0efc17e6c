"""Tests of the commands that convert models: export, import, lm."""

from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.inference import packages
from tests.unit.inference import torch04

Save = Callable[..., Path]


def evaluated(path: Path, dataset: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Return what `evaluate` prints on val."""
    capsys.readouterr()
    assert main(["evaluate", str(path), str(dataset / "manifests" / "val.csv"), "--device", "cpu", *options]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_an_exported_file_evaluates_as_its_checkpoint(
    save_model: Save, tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = save_model()
    assert main(["export", str(path), "--output", str(tmp_path / name)]) == 0
    size = (tmp_path / name).stat().st_size / 1e6
    assert capsys.readouterr().out == f"{tmp_path / name}: {size:.1f} MB\n"
    assert evaluated(tmp_path / name, tone_dataset, capsys) == evaluated(path, tone_dataset, capsys)


def test_an_int8_file_evaluates_as_its_checkpoint_in_int8(
    save_model: Save, tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = save_model(), tmp_path / "model.safetensors"
    assert main(["export", str(path), "--output", str(output), "--precision", "int8"]) == 0
    expected = evaluated(path, tone_dataset, capsys, "--precision", "int8")
    assert evaluated(output, tone_dataset, capsys) == expected


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--output", "model.pb"], "--output model.pb: must end in .onnx or .safetensors"),
        (["--output", "model.onnx", "--precision", "int8"], "--precision int8: an ONNX file is in fp32; for int8,"),
        (["--output", "folder.onnx"], "folder.onnx: not a regular file; name one"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    save_model: Save,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.onnx").mkdir()
    assert main(["export", str(save_model()), *words]) == 2
    assert reason in capsys.readouterr().err and not [*tmp_path.glob("model.*")]


def test_an_output_that_cannot_be_written_is_named_before_the_checkpoint_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["export", str(tmp_path / "gone.pt"), "--output", str(tmp_path / "file" / "model.onnx")]) == 2
    expected = f"error: --output {tmp_path / 'file'}: {tmp_path / 'file'} is not a folder; choose a different path\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(("package", "output"), [("onnx", "x.onnx"), ("safetensors", "x.safetensors")])
def test_a_missing_package_is_one_line_that_says_how_to_install_it(
    save_model: Save,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    package: str,
    output: str,
) -> None:
    monkeypatch.setitem(packages._MODULES, package, "not_here.at_all")
    assert main(["export", str(save_model()), "--output", str(tmp_path / output)]) == 2
    message = f"error: {tmp_path / output}: needs {package}, which is not installed; pip install {package}\n"
    assert capsys.readouterr().err == message


def test_the_published_checkpoint_is_imported_evaluated_and_exported(
    tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "deepspeech_20.pth.tar", tmp_path / "imported.pt"
    torch04.save(old, torch04.published())
    assert main(["import", str(old), "--output", str(new)]) == 0
    assert capsys.readouterr().out == f"{new}: 2 gru layers of 8, epoch 20\n"
    assert main(["export", str(new), "--output", str(tmp_path / "imported.onnx")]) == 0
    first, second = (evaluated(path, tone_dataset, capsys) for path in (new, tmp_path / "imported.onnx"))
    assert first == second and "WER" in first


def test_a_file_that_is_not_the_published_one_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(tmp_path / "gone.pth.tar"), "--output", str(tmp_path / "x.pt")]) == 2
    expected = f"error: {tmp_path / 'gone.pth.tar'}: No such file or directory; name the checkpoint that"
    assert capsys.readouterr().err.startswith(expected) and not (tmp_path / "x.pt").exists()


def test_a_language_model_is_made_of_transcripts(
    tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "lm.arpa"
    assert main(["lm", str(tone_dataset / "manifests" / "train.csv"), "--order", "2", "--output", str(output)]) == 0
    assert capsys.readouterr().out.startswith(f"{output}: 24 sentences, ")
    assert output.read_text().startswith("\\data\\\nngram 1=9\nngram 2=")  # six words, <s>, </s>, <unk>


@pytest.mark.parametrize("order", ["1", "7", "x"])
def test_an_order_that_kenlm_does_not_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], order: str
) -> None:
    assert main(["lm", "text.txt", "--order", order, "--output", str(tmp_path / "lm.arpa")]) == 2
    assert f"{order}: must be a whole number from 2 to 6" in capsys.readouterr().err
