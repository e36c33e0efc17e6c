"""Tests of the report page's text."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import pytest

from speech_recognition.cli import main
from speech_recognition.report.page import own_report, write_report
from speech_recognition.report.record import read_record
from speech_recognition.runtime.distributed import Launch

Maker = Callable[..., Path]


def page_of(*folders: Path, into: Path) -> str:
    return write_report(into, [read_record(folder) for folder in folders]).read_text()


def test_a_run_has_everything_on_one_page(run_folder: Maker, tmp_path: Path) -> None:
    text = page_of(run_folder(), into=tmp_path)
    assert "<h1>DeepSpeech2 mini: target reached, WER 21.00 after 2 epochs, 0 s</h1>" in text
    assert text.count('<div class="card">') == 4 and "target 23: reached" in text and "SUCCESS" in text
    assert text.count("<svg") == text.count('<figure class="chart"') == 7
    assert re.search(r'<span class="upper">DOG</span>\s*<span class="lower">DOC</span>', text)
    assert '<span class="pair deletion"><span class="upper">ONE</span>' in text
    assert re.search(r'<span class="pair insertion"><span class="upper"></span>\s*<span class="lower">NOW</span>', text)
    assert "DOG &rarr; DOC" in text
    assert text.index(">3-1-0,") < text.index(">2-1-0,") < text.index(">1-1-0,") and ">0-1-0," not in text


def test_only_parameters_that_differ_from_the_preset_are_not_folded(run_folder: Maker, tmp_path: Path) -> None:
    folder = run_folder()
    text = page_of(folder, into=tmp_path)
    assert "All parameters are those of the preset mini." in text
    folded = "".join(re.findall(r"<details>.*?</details>", text, flags=re.DOTALL))
    assert "optimizer.learning_rate" in folded and "host_processor_model_name" in folded
    params = folder / "params.json"
    params.write_text(params.read_text().replace('"learning_rate": 0.003', '"learning_rate": 0.002'))
    unfolded = re.sub(r"<details>.*?</details>", "", page_of(folder, into=tmp_path), flags=re.DOTALL)
    row = '<td class="name">optimizer.learning_rate</td><td class="value">0.002</td>'
    assert re.search(rf'{row}\s*<td class="value grey">0.003</td>', unfolded) and "data.batch_size" not in unfolded


def test_the_worst_utterances_can_be_heard(
    run_folder: Maker, val_dataset: Callable[[Path], None], tmp_path: Path
) -> None:
    folder, without = run_folder("with"), "The recordings are not where the run read them"
    assert without in page_of(folder, into=tmp_path)
    val_dataset(folder)
    text = page_of(folder, into=tmp_path)
    assert without not in text and text.count('<audio controls preload="metadata" src="data:audio/mpeg;base64,') == 3


def test_the_files_of_a_run_are_linked_from_wherever_the_page_lies(run_folder: Maker, tmp_path: Path) -> None:
    folder = run_folder("a b")
    (folder / "command.txt").write_text("python -m speech_recognition train\n")
    names = {"speech_ds2.out", "metrics.csv", "steps.csv", "utterances.csv", "params.json", "system.json"}
    assert names | {"command.txt"} == set(re.findall(r'<a href="\./([^"]*)"', page_of(folder, into=folder)))
    elsewhere = tmp_path / "pages" / "today"
    for link in re.findall(r'<a href="([^"]*)"', page_of(folder, into=elsewhere)):
        assert (elsewhere / unquote(link)).resolve().parent == folder


def test_it_names_the_data_that_the_log_names(run_folder: Maker, tmp_path: Path) -> None:
    text = page_of(run_folder("verified", verified=("all", "5" * 64)), into=tmp_path)
    assert f"<dt>dataset</dt><dd>all, SHA-256 {'5' * 64}</dd>" in text and "mini_dataset" not in text
    text = page_of(run_folder("unknown", verified=None), into=tmp_path)
    assert "<dt>dataset</dt><dd>mini_dataset; the log has no checksum of it</dd>" in text


def test_nothing_on_it_comes_from_elsewhere_or_is_code(run_folder: Maker, tmp_path: Path) -> None:
    text = page_of(run_folder(), into=tmp_path)
    assert [each for each in re.findall(r'(?:src|href)="([^"]*)', text) if not re.match(r"data:|#|\./", each)] == []
    assert re.findall(r"url\((?!#)|@import|@font-face", text) == []
    assert "<SCRIPT>" not in text and "&lt;SCRIPT&gt;" in text


def test_a_log_that_breaks_rules_is_said_to(run_folder: Maker, tmp_path: Path) -> None:
    text = page_of(run_folder(wers=(53.2, 31.0)), into=tmp_path)
    assert "Not compliant" in text and "target 23: missed" in text and "status" in text


def test_a_run_that_is_not_over_is_no_failure(run_folder: Maker, tmp_path: Path) -> None:
    folder = run_folder()
    log = folder / "speech_ds2.out"
    log.write_text("".join(line for line in log.read_text().splitlines(True) if "run_stop" not in line))
    text = page_of(folder, into=tmp_path)
    assert "target 23: not ended" in text and "has not ended" in text and "Not compliant" not in text


def test_several_runs_stand_side_by_side(run_folder: Maker, tmp_path: Path) -> None:
    better = run_folder("better", seed=8, hypotheses=["THE CAT SAT", "A DOG RAN", "NO ONE CAME HOME", "YES"])
    text = page_of(run_folder("first"), better, run_folder("same", seed=9), into=tmp_path)
    assert (
        "3 runs of DeepSpeech2 mini: all reached the target" in text
        and "the logs of 3 runs pass the rules" in " ".join(text.split())
    )
    assert re.search(r"Score, the mean time.*<b>[0-9.]+ seconds<", text)
    rows = re.findall(r'<td class="name">(better|same)</td>\s*<td class="number">([-+][^<]*)</td>', text)
    assert rows == [("better", "-36.36"), ("same", "+0.00")]
    assert "no difference shown" in text
    for number, name in enumerate(("first", "better", "same")):
        key = f'<i class="key" style="background:var(--run{number})"></i>{number + 1}'
        assert f"<li>{key}: {name}</li>" in text


def test_runs_that_have_learnt_nothing_have_no_p_value(run_folder: Maker, tmp_path: Path) -> None:
    silent = {"wers": (100.0,), "hypotheses": [""] * 4}
    first, second, good = run_folder("first", **silent), run_folder("second", **silent), run_folder("good")
    text = page_of(first, second, good, into=tmp_path)
    assert text.count("not tested: neither run has learnt to transcribe yet") == 1
    assert text.index("not tested") < text.index('<td class="number">0.0')  # good against first is tested


def test_the_command_writes_it_where_it_is_asked(
    run_folder: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = run_folder("first"), run_folder("second")
    assert main(["report", str(first)]) == 0
    assert capsys.readouterr().out == f"{first / 'report.html'}\n"
    assert main(["report", str(first), str(second)]) == 2
    assert "several runs need --output-dir" in capsys.readouterr().err
    out = tmp_path / "both"
    assert main(["report", str(first), str(second), "--output-dir", str(out), "--tensorboard", str(out / "tb")]) == 0
    assert {path.name for path in out.iterdir()} == {"report.html", "charts", "tb"}
    assert len(list((out / "charts").glob("*.svg"))) == 7


@pytest.mark.parametrize(("failure", "restarts_left", "evaluated", "written"), [
    (None, 0, True, True),
    (None, 2, True, True),
    (SystemExit(143), 0, True, True),
    (SystemExit(143), 2, True, False),
    (None, 0, False, False),
])  # fmt: skip
def test_a_run_that_has_ended_has_its_own_page(
    run_folder: Maker, failure: BaseException | None, restarts_left: int, evaluated: bool, written: bool
) -> None:
    folder = run_folder()
    if not evaluated:
        (folder / "metrics.csv").unlink()
    with suppress(SystemExit), own_report(folder, Launch(max_restarts=restarts_left)):
        if failure:
            raise failure
    assert {(folder / name).exists() for name in ("report.html", "curves.png")} == {written}


def test_a_page_that_cannot_be_made_does_not_change_the_run(
    run_folder: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_folder()
    (folder / "metrics.csv").write_text("")
    with own_report(folder, Launch()):
        pass
    assert capsys.readouterr().err.startswith(f"warning: no report: {folder / 'metrics.csv'}: cannot be read")
