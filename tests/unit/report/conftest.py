"""Fixtures that make the folder of a run as training leaves it, within a second and without training."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import params
from speech_recognition import settings
from speech_recognition.commands import REFERENCES as REFERENCE_CHECKSUMS
from speech_recognition.corpus.manifest import Utterance, write_manifest
from speech_recognition.evaluation import Evaluation
from speech_recognition.mlperf.run_log import RunLog
from speech_recognition.mlperf.system import describe
from speech_recognition.runs.folder import RunFolder
from speech_recognition.runs.metrics import EpochMetrics, write_metrics
from speech_recognition.runs.steps import StepTable
from speech_recognition.runs.tally import Tally
from speech_recognition.runs.utterances import write_utterances
from tests.conftest import make_utterance
from tests.unit.mlperf.conftest import MINI, shapes_of

REFERENCES = ["THE CAT SAT", "A DOG RAN", "NO ONE CAME HOME", "YES"]
VERIFIED = ("mini", json.loads((REFERENCE_CHECKSUMS / "mini.json").read_text())["sha256"])
HYPOTHESES = ["THE CAT SAT", "A DOC RAN", "NO CAME HOME NOW", "<SCRIPT>ALERT(1)</SCRIPT>"]


def utterances() -> list[Utterance]:
    return [
        Utterance(f"{number}-1-0", Path("a.wav"), None, text, 1.5 + number, 16_000, f"00{number}", "dev-mini", 1)
        for number, text in enumerate(REFERENCES)
    ]


def write_log(folder: Path, wers: Sequence[float], seed: int, reached: bool, verified: tuple[str, str] | None) -> None:
    stream = io.StringIO()
    with RunLog(stream) as log:
        log.cache_cleared(True)
        with log.initialization(params.mini(), seed=seed) as init:
            init.weights(shapes_of(params.mini().model, params.mini().features.bins))
            if verified:
                init.dataset(*verified)
        with log.run() as run:
            run.samples(*MINI)
            for epoch, wer in enumerate(wers, start=1):
                with log.epoch(epoch, (epoch - 1) * MINI[0], epoch * MINI[0]):
                    pass
                with log.evaluation(epoch, epoch * MINI[0]) as result:
                    result.accuracy(wer)
            if reached:
                run.success()
    RunFolder(folder).log.write_text(stream.getvalue())


def make_run(
    folder: Path,
    wers: Sequence[float] = (53.2, 21.0),
    seed: int = 7,
    hypotheses: Sequence[str] = HYPOTHESES,
    verified: tuple[str, str] | None = VERIFIED,
) -> Path:
    folder.mkdir(parents=True)
    RunFolder(folder).params.write_text(json.dumps(settings.to_dict(params.mini())))
    RunFolder(folder).system.write_text(
        json.dumps(describe(vars(params.mini().submission), nodes=1, gpus=0, storage=folder))
    )
    write_log(folder, wers, seed, reached=wers[-1] <= 23, verified=verified)
    steps, epochs = StepTable(RunFolder(folder).steps, Tally()), []
    for epoch, wer in enumerate(wers, start=1):
        tally = Tally(epoch=epoch)
        for number in range(75):
            tally.add([32_000] * 16, 100 / (number + 1), 1e-3, updated=True)
            tally.seconds, tally.waiting, tally.saving = 0.2 * tally.steps, 0.01 * tally.steps, 0.0
            steps.after_step(tally)
        row = EpochMetrics(epoch=epoch, wer=wer, cer=wer / 3, utterance_wer=wer, eval_seconds=2.0, **tally.metrics())
        epochs.append(row)
    write_metrics(RunFolder(folder).metrics, epochs)
    write_utterances(RunFolder(folder).utterances, Evaluation.of(utterances(), list(hypotheses)))
    return folder


@pytest.fixture
def run_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes the folder of a run with the given name."""
    return lambda name="run", **values: make_run(tmp_path / name, **values)


@pytest.fixture
def val_dataset() -> Callable[[Path], None]:
    """Return a function that makes a run's recordings in the folder `data` beside it, and names that in the run."""

    def make(folder: Path) -> None:
        data = folder.parent / "data"
        made = [make_utterance(data, "val", each.id, each.transcript) for each in utterances()]
        write_manifest(data / "manifests" / "val.csv", made)
        path = RunFolder(folder).params
        values = json.loads(path.read_text())
        values["data"]["dataset"] = str(data)
        path.write_text(json.dumps(values))

    return make


@pytest.fixture(scope="session")
def good_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a good run, for tests that change a copy of it."""
    return make_run(tmp_path_factory.mktemp("good") / "run")
