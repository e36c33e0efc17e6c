"""Tests with folders of strangers: a command ends with one line, runs no code of theirs and changes no file of ours."""

import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.cli import main
from speech_recognition.model import build_model
from speech_recognition.runs import checkpoint

Damage = Callable[[Path], object]

RULES = "- BEGIN:\n    CODE: |\n      open({canary!r}, 'w')\n"
"""Rules file for the official checker, which executes the code in it."""


@pytest.fixture
def run_folder(good_run: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes the folder of a good run; a copy is faster than making the run again."""
    return lambda name="run": Path(shutil.copytree(good_run, tmp_path / name))


@pytest.fixture(autouse=True)
def hang_is_a_failure() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError("the command hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Return the path of a file that does not exist, but would if the rules in `tmp_path` were executed."""
    path = tmp_path / "canary"
    (tmp_path / "rules.yaml").write_text(RULES.format(canary=str(path)))
    return path


def refused(arguments: list[object], capsys: pytest.CaptureFixture[str], statuses: tuple[int, ...] = (2,)) -> str:
    """Run a command that must end with one of `statuses`; return its standard error, which must be one plain line."""
    capsys.readouterr()
    status = main([str(each) for each in arguments])
    said = capsys.readouterr()
    assert status in statuses, said
    assert "Traceback" not in said.err and all(each.isprintable() for each in said.err.splitlines())
    assert said.err.count("\n") == (1 if status == 2 else 0), said.err
    assert "hangs" not in said.err
    return said.err


def text(name: str, content: str | bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def replaced(name: str, old: str, new: str) -> Damage:
    """Return a function that replaces the first match of the pattern `old` in a file by `new`."""

    def damage(folder: Path) -> None:
        content, count = re.subn(old, lambda _: new, (folder / name).read_text(), count=1)
        assert count == 1
        (folder / name).write_text(content)

    return damage


def pipe(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def device(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to("/dev/zero")

    return damage


def parameter(name: str, value: object) -> Damage:
    """Return a function that sets a value in params.json; "{}" in it stands for the parent of the run's folder."""

    def damage(folder: Path) -> None:
        content = json.loads((folder / "params.json").read_text())
        section, _, key = name.rpartition(".")
        where = content[section] if section else content
        where[key] = value.format(folder.parent) if isinstance(value, str) else value
        (folder / "params.json").write_text(json.dumps(content))

    return damage


def missing(section: str, name: str) -> Damage:
    def damage(folder: Path) -> None:
        content = json.loads((folder / "params.json").read_text())
        del content[section][name]
        (folder / "params.json").write_text(json.dumps(content))

    return damage


LOG_DAMAGES: dict[str, Callable[[str], Damage]] = {
    "time as text": lambda log: replaced(log, r'"time_ms": \d+', '"time_ms": "soon"'),
    "time too late": lambda log: replaced(log, r'"time_ms": \d+', '"time_ms": 1e300'),
    "time too long": lambda log: replaced(log, r'"time_ms": \d+', '"time_ms": ' + "9" * 3_000),
    "time below 0": lambda log: replaced(log, r'"time_ms": \d+', '"time_ms": -5'),
    "time not a number": lambda log: replaced(log, r'"time_ms": \d+', '"time_ms": NaN'),
    "time infinite": lambda log: replaced(log, r'"time_ms": \d+', '"time_ms": Infinity'),
    "time a list": lambda log: replaced(log, r'"time_ms": \d+', '"time_ms": [1]'),
    "metadata a list": lambda log: replaced(log, r'"metadata": {[^}]*}', '"metadata": []'),
    "metadata nothing": lambda log: replaced(log, r'"metadata": {[^}]*}', '"metadata": null'),
    "nested": lambda log: replaced(log, r'"value": false', '"value": ' + "[" * 900 + "]" * 900),
    "no object": lambda log: text(log, ":::MLLOG []\n"),
    "too long a line": lambda log: text(log, ":::MLLOG " + "x" * 3_000_000 + "\n"),
    "too many lines": lambda log: text(log, ":::MLLOG \n" * 100_001),
    "pipe": pipe,
    "device": device,
}

REPORT_DAMAGES: dict[str, Damage] = {
    "division a path": parameter("submission.division", "{}/rules"),
    "division a way up": parameter("submission.division", "../../../../../../../../{}/rules"),
    "division a list": parameter("submission.division", ["closed"]),
    "preset a path": parameter("preset", "{}/rules"),
    "preset an object": parameter("preset", {}),
    "parameter missing": missing("optimizer", "epsilon"),
    "section missing": lambda folder: text("params.json", json.dumps({"preset": "mini"}))(folder),
    "parameter unknown": parameter("model.from_the_future", 1),
    "section unknown": parameter("future", {}),
    "section a list": parameter("data", [1]),
    "number a text": parameter("training.epochs", "10"),
    "number a truth": parameter("training.epochs", True),
    "number not whole": parameter("training.epochs", 1.5),
    "number not a number": parameter("training.target_wer", float("nan")),
    "number too large": parameter("training.target_wer", 10**300),
    "truth a number": parameter("model.bidirectional", 1),
    "out of bounds": parameter("data.batch_size", 0),
    "text not printable": parameter("submission.org", "a\x1b[2J\n"),
    "half a character": parameter("submission.org", "\ud800"),
    "stages a text": parameter("stages", "abc"),
    "stage without fields": parameter("stages", [{}]),
    "stage out of bounds": parameter(
        "stages",
        [{"first_epoch": 1, "batch_size": 0, "momentum": 0.0, "anneal_factor": 1.0, "learning_rate": None}],
    ),
    "params empty": text("params.json", ""),
    "params a list": text("params.json", "[]"),
    "params deep": text("params.json", "[" * 100_000),
    "params pipe": pipe("params.json"),
    "params device": device("params.json"),
    "system of numbers": text("system.json", '{"framework": 1}'),
    "system deep": text("system.json", "[" * 100_000),
    "system pipe": pipe("system.json"),
    "metrics empty": text("metrics.csv", ""),
    "metrics without wer": text("metrics.csv", "epoch,cer\n1,2\n"),
    "metrics cut": text("metrics.csv", "epoch,wer,cer\n1,2\n"),
    "metrics not closed": text("metrics.csv", 'epoch,wer,cer\n1,2,"3\n'),
    "metrics no text": text("metrics.csv", b"epoch,wer,cer\n1,2,\xff\n"),
    "metrics pipe": pipe("metrics.csv"),
    "metrics device": device("metrics.csv"),
    "epoch not whole": text("metrics.csv", "epoch,wer,cer\n1.5,2,3\n"),
    "epoch too large": text("metrics.csv", "epoch,wer,cer\n1e9,2,3\n"),
    **{f"wer {value}": text("metrics.csv", f"epoch,wer,cer\n1,{value},3\n") for value in ("nan", "inf", "-1", "x", "")},
    "loss infinite": text("metrics.csv", "epoch,wer,cer,loss\n1,2,3,inf\n"),
    "subset no number": text("metrics.csv", "epoch,wer,cer,wer_dev\n1,2,3,x\n"),
    "steps empty": text("steps.csv", ""),
    "steps without columns": text("steps.csv", "epoch,steps\n1,10\n"),
    "steps with a bad row": replaced("steps.csv", r"\n1,10,", "\n1,nan,"),
    "steps pipe": pipe("steps.csv"),
    "utterances empty": text("utterances.csv", ""),
    "utterances without speaker": replaced("utterances.csv", "speaker", "speakers"),
    "no words": replaced("utterances.csv", r",1,1,3,", ",0,1,3,"),
    "errors below 0": replaced("utterances.csv", r",3,1,9,", ",3,-1,9,"),
    "seconds not a number": replaced("utterances.csv", r",1\.5,", ",nan,"),
    "utterances pipe": pipe("utterances.csv"),
    "key no text": replaced("speech_ds2.out", r'"key": "[a-z_]+"', '"key": [1]'),
    "time a truth": replaced("speech_ds2.out", r'"time_ms": \d+', '"time_ms": true'),
    **{f"log, {name}": damage("speech_ds2.out") for name, damage in LOG_DAMAGES.items()},
}


@pytest.mark.parametrize("name", REPORT_DAMAGES)
def test_a_report_names_what_is_wrong_in_one_line(
    name: str, run_folder: Callable[..., Path], canary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_folder()
    REPORT_DAMAGES[name](folder)
    assert str(folder) in refused(["report", folder], capsys)
    assert not canary.exists() and not (folder / "report.html").exists()


@pytest.mark.parametrize("link", ["report.html", "charts", "charts/loss.png"])
def test_a_report_is_not_written_through_a_link(
    link: str, run_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ours = run_folder(), tmp_path / "ours"
    ours.mkdir()
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).symlink_to(ours if link == "charts" else ours / "file")
    assert f"{folder / link}: is a link" in refused(["report", folder], capsys)
    assert not any(ours.iterdir())


ODD = [
    "$a$ $\\frac$",
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "=cmd|' /C calc'!A0",
    "a\x1b[2J\nb",
    "語" * 40,
]


@pytest.mark.parametrize("odd", ODD)
def test_odd_names_are_shown_as_they_are(
    odd: str, run_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [run_folder(f"{number} {odd.replace('/', '')}") for number in range(2)]
    for folder in folders:
        path = folder / "utterances.csv"
        quoted = odd.replace('"', '""')
        path.write_text(re.sub(r",dev-mini,\d+,", f',"{quoted}","{quoted}",', path.read_text()))
        replaced("speech_ds2.out", r'"metadata": {', '"metadata": {"time_ms": "x", "seconds": [], ')(folder)
    assert (
        main(["report", *map(str, folders), "--output-dir", str(tmp_path), "--tensorboard", str(tmp_path / "tb")]) == 0
    )
    assert capsys.readouterr().err == ""
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page and not re.search(r'(?:src|href)="(?!data:)', page)


def test_a_name_that_is_no_text_does_not_stop_the_report(run_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = run_folder(os.fsdecode(b"\xff\xfe"))
    replaced("system.json", '"cooling": ""', '"cooling": "\\ud800"')(folder)
    assert main(["report", str(folder), "--output-dir", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "\\udcff\\udcfe" in page and "\\ud800" in page


@pytest.mark.parametrize("name", LOG_DAMAGES)
def test_a_check_of_a_log_ends_in_a_line(
    name: str, run_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_folder()
    LOG_DAMAGES[name]("speech_ds2.out")(folder)
    refused(["check-log", folder / "speech_ds2.out"], capsys, (0, 1, 2) if "metadata" in name else (1, 2))


def test_what_the_checker_finds_is_printed_without_control_characters(
    run_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    log = run_folder() / "speech_ds2.out"
    line = next(line for line in log.read_text().splitlines() if '"seed"' in line)
    log.write_text(log.read_text() + line.replace('"value": 7', '"value": "\\u001b[2J\\nSUCCESS"') + "\n")
    assert main(["check-log", str(log)]) == 1
    said = capsys.readouterr().out
    assert "\\x1b[2J" in said and "\x1b" not in said and "\nSUCCESS" not in said


@pytest.fixture
def series(run_folder: Callable[..., Path], tmp_path: Path) -> Path:
    """Return the folder of three runs of `mini`, as `--runs` leaves it."""
    folder = tmp_path / "series"
    for number in range(3):
        log = run_folder(f"series/run_{number}") / "speech_ds2.out"
        log.write_text(log.read_text().replace('"key": "seed", "value": 7', f'"key": "seed", "value": {number}'))
        shutil.copy(log, folder / f"result_{number}.txt")
    return folder


def logged(key: str, value: Any) -> Damage:
    """Return a function that sets the value of a key in every result."""

    def damage(folder: Path) -> None:
        for path in folder.glob("result_*.txt"):
            lines = path.read_text().splitlines()
            for place, line in enumerate(lines):
                if f'"key": "{key}"' in line:
                    lines[place] = re.sub(r'"value": [^,]+', lambda _: f'"value": {json.dumps(value)}', line)
            path.write_text("\n".join(lines) + "\n")

    return damage


def epoch_of_an_evaluation(value: str) -> Damage:
    def damage(folder: Path) -> None:
        for path in folder.glob("result_*.txt"):
            lines = path.read_text().splitlines()
            for place, line in enumerate(lines):
                if '"eval_accuracy"' in line:
                    lines[place] = re.sub(r'"epoch_num": \d+', f'"epoch_num": {value}', line)
            path.write_text("\n".join(lines) + "\n")

    return damage


def in_first_run(damage: Damage, folder: Path) -> None:
    damage(folder / "run_0")


RESULT_DAMAGES: dict[str, Damage] = {
    "benchmark a path": logged("submission_benchmark", "../../../../../../rules"),
    "benchmark of others": logged("submission_benchmark", "stable_diffusion"),
    "benchmark a list": logged("submission_benchmark", ["bert"]),
    "batch size a text": logged("global_batch_size", "{0.__class__}"),
    "batch size huge": logged("global_batch_size", 10**400),
    "batch size a truth": logged("global_batch_size", True),
    **{f"epochs {value}": epoch_of_an_evaluation(value) for value in ('"x"', "NaN", "Infinity", "1e308", "-1", "[]")},
    **{f"result, {name}": damage("result_1.txt") for name, damage in LOG_DAMAGES.items()},
}
PACKAGE_DAMAGES: dict[str, Damage] = RESULT_DAMAGES | {
    "division a path": logged("submission_division", "../../../../rules"),
    "org a way up": logged("submission_org", "../up"),
    "org a command": logged("submission_org", "$(touch canary)"),
    "platform a command": logged("submission_platform", "`touch canary`"),
    "seed from a list": replaced("result_1.txt", r'(?<="seed", "value": 1, "metadata": {"file": )"[^"]*"', "[]"),
    **{
        f"run_0, {name}": partial(in_first_run, damage)
        for name, damage in REPORT_DAMAGES.items()
        if name.startswith(("division", "preset", "params", "system", "stage", "parameter"))
    },
}


@pytest.mark.parametrize("name", RESULT_DAMAGES)
def test_convergence_of_damaged_results_ends_in_a_line(
    name: str, series: Path, canary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RESULT_DAMAGES[name](series)
    refused(["check-rcp", series], capsys, (1, 2))
    assert not canary.exists()


@pytest.mark.parametrize("content", [
    "[" * 100_000,
    '{"a": {"Benchmark": "unet3d", "BS": 16, "Hyperparams": {}, "Epochs to converge": [1, 2, 3]}}',
    '{"a": {"Benchmark": "deepspeech2", "BS": true, "Hyperparams": {}, "Epochs to converge": [1, 2, 3]}}',
    '{"a": {"Benchmark": "deepspeech2", "BS": 16, "Hyperparams": {}, "Epochs to converge": [1e20, 2e20, 3e20]}}',
    '{"a": {"Benchmark": "deepspeech2", "BS": 16, "Hyperparams": {}, "Epochs to converge": [1, NaN, 3]}}',
    '{"a": {"Benchmark": "deepspeech2", "BS": 16, "Hyperparams": {}, "Epochs to converge": [0, -1, 3]}}',
    None,
])  # fmt: skip
def test_points_that_are_none_are_refused(
    content: str | None, series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "points.json").write_text(content or "")
    if content is None:
        pipe("points.json")(tmp_path)
    assert "points.json: " in refused(["check-rcp", series, "--points", tmp_path / "points.json"], capsys)
    assert "preset" in refused(["check-rcp", series, "--preset", "../points/mini"], capsys)


def test_convergence_in_a_folder_whose_name_is_a_pattern(
    series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series.rename(tmp_path / "[a]*{0}")
    assert main(["check-rcp", str(tmp_path / "[a]*{0}")]) in (0, 1)
    assert "mean epochs: 2" in capsys.readouterr().out


@pytest.mark.parametrize("name", PACKAGE_DAMAGES)
def test_packaging_of_a_damaged_series_ends_in_a_line(
    name: str, series: Path, canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    PACKAGE_DAMAGES[name](series)
    refused(["package", series, "--output-dir", tmp_path / "out"], capsys, (1, 2))
    assert not canary.exists() and not (tmp_path / "up").exists()


class Code:
    """Object that runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self._canary}'",)


def crafted(path: Path, **changes: Any) -> None:
    """Write a checkpoint with `changes` to its content and the digest that fits them."""
    mini = params.mini()
    model = build_model(mini.model, mini.features.bins, seed=0)
    content = {
        "params": settings.to_dict(mini),
        "seed": 1,
        "train_set": "",
        "tally": {},
        "metrics": [],
        "model": model.state_dict(),
        "optimizer": {},
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content | {"digest": checkpoint.digest(content)}, path)


def with_parameter(section: str, name: str, value: object) -> dict[str, Any]:
    values = settings.to_dict(params.mini())
    values[section][name] = value
    return values


@pytest.mark.parametrize("name", ["code", "no zip", "pipe", "division", "model", "weights", "epoch_01", "metrics"])
def test_evaluation_of_a_crafted_checkpoint_ends_in_a_line(
    name: str, canary: Path, tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run" / "checkpoints" / "epoch_01.pt"
    path.parent.mkdir(parents=True)
    make: dict[str, Callable[[], Any]] = {
        "code": lambda: torch.save({"digest": Code(canary)}, path),
        "no zip": partial(path.write_bytes, b"\x80\x04."),
        "pipe": partial(os.mkfifo, path),
        "division": lambda: crafted(path, params=with_parameter("submission", "division", f"{tmp_path}/rules")),
        "model": lambda: crafted(path, params=with_parameter("model", "rnn_units", "192")),
        "weights": lambda: crafted(path, model=[1]),
        "epoch_01": lambda: crafted(path),
        "metrics": lambda: crafted(path, metrics=[{"epoch": "x", "wer": None}]),
    }
    make[name]()
    manifest = tone_dataset / "manifests" / "val.csv"
    assert "epoch_01.pt: " in refused(["evaluate", tmp_path / "run", manifest], capsys)
    if name not in ("epoch_01", "metrics"):
        assert "epoch_01.pt: " in refused(["evaluate", path, manifest], capsys)
    assert not canary.exists()
