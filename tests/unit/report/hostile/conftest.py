"""Damages to the folder of a run, and a command that must refuse what they leave in one line.

A test that takes `log_damage`, `report_damage`, `result_damage` or `package_damage` is called with each damage of that
table.
"""

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

from speech_recognition.cli import main

Damage = Callable[[Path], object]


RULES = "- BEGIN:\n    CODE: |\n      open({canary!r}, 'w')\n"
"""Rules file for the official checker, which executes the code in it."""


@pytest.fixture
def run_folder(good_run: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes the folder of a good run; a copy is faster than making the run again."""
    return lambda name="run": Path(shutil.copytree(good_run, tmp_path / name))


@pytest.fixture(autouse=True)
def hang_is_a_failure() -> Iterator[None]:
    """Fail a test after 60 s."""

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


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command, which must end with one of `statuses`, and returns its standard error.

    With status 2, standard error must be one printable line.
    """

    def run(arguments: list[object], statuses: tuple[int, ...] = (2,)) -> str:
        capsys.readouterr()
        status = main([str(each) for each in arguments])
        said = capsys.readouterr()
        assert status in statuses, said
        assert "Traceback" not in said.err and all(each.isprintable() for each in said.err.splitlines())
        assert said.err.count("\n") == (1 if status == 2 else 0), said.err
        assert "hangs" not in said.err
        return said.err

    return run


@pytest.fixture
def replace() -> Callable[[Path, str, str], object]:
    """Return a function that replaces the first match of a pattern in a file."""
    return lambda path, old, new: replaced(path.name, old, new)(path.parent)


@pytest.fixture
def series(run_folder: Callable[..., Path], tmp_path: Path) -> Path:
    """Return the folder of three runs of `mini`, as `--runs` leaves it."""
    folder = tmp_path / "series"
    for number in range(3):
        log = run_folder(f"series/run_{number}") / "speech_ds2.out"
        log.write_text(log.read_text().replace('"key": "seed", "value": 7', f'"key": "seed", "value": {number}'))
        shutil.copy(log, folder / f"result_{number}.txt")
    return folder


def text(name: str, content: str | bytes) -> Damage:
    """Return a function that writes a file with the given content."""
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def replaced(name: str, old: str, new: str) -> Damage:
    """Return a function that replaces the first match of the pattern `old` in a file by `new`."""

    def damage(folder: Path) -> None:
        content, count = re.subn(old, lambda _: new, (folder / name).read_text(), count=1)
        assert count == 1
        (folder / name).write_text(content)

    return damage


def pipe(name: str) -> Damage:
    """Return a function that puts a pipe, which nobody writes, in the place of a file."""

    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def device(name: str) -> Damage:
    """Return a function that puts a link to /dev/zero, which never ends, in the place of a file."""

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


def in_results(mark: str, old: str, new: str) -> Damage:
    """Return a function that replaces the pattern `old` by `new` in each line of every result that has `mark` in it."""

    def damage(folder: Path) -> None:
        for path in folder.glob("result_*.txt"):
            lines = path.read_text().splitlines()
            changed = [re.sub(old, lambda _: new, line) if mark in line else line for line in lines]
            path.write_text("\n".join(changed) + "\n")

    return damage


def logged(key: str, value: Any) -> Damage:
    """Return a function that sets the value of a key in every result."""
    return in_results(f'"key": "{key}"', r'"value": [^,]+', f'"value": {json.dumps(value)}')


def epoch_of_an_evaluation(value: str) -> Damage:
    """Return a function that sets the epoch number of every evaluation in every result."""
    return in_results('"eval_accuracy"', r'"epoch_num": \d+', f'"epoch_num": {value}')


def in_first_run(damage: Damage, folder: Path) -> None:
    """Damage the folder of a series' first run."""
    damage(folder / "run_0")


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
    "nested": lambda log: replaced(log, r'"value": true', '"value": ' + "[" * 900 + "]" * 900),
    "no object": lambda log: text(log, ":::MLLOG []\n"),
    "too long a line": lambda log: text(log, ":::MLLOG " + "x" * 3_000_000 + "\n"),
    "too many lines": lambda log: text(log, ":::MLLOG \n" * 100_001),
    "pipe": pipe,
    "device": device,
}
"""Damages to a log, by what they do; each takes the log's name."""


REPORT_DAMAGES: dict[str, Damage] = {
    "division a path": parameter("submission.division", "{}/rules"),
    "division a way up": parameter("submission.division", "../../../../../../../../{}/rules"),
    "division a list": parameter("submission.division", ["closed"]),
    "preset a path": parameter("preset", "{}/rules"),
    "preset an object": parameter("preset", {}),
    "parameter missing": replaced("params.json", r'"epsilon": [^,]+,', ""),
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
"""Damages to the folder of a run."""


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
"""Damages to the results of a series, from which its convergence is read."""


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
"""Damages to the folder of a series, from which a submission is packaged."""


TABLES: dict[str, dict[str, Any]] = {
    "log_damage": LOG_DAMAGES,
    "report_damage": REPORT_DAMAGES,
    "result_damage": RESULT_DAMAGES,
    "package_damage": PACKAGE_DAMAGES,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Call a test with each entry of every table that it takes as an argument."""
    for argument, table in TABLES.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, table.values(), ids=list(table))
