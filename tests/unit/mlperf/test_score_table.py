"""Tests of the command `score` and of the forms in which it prints."""

import json
from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.mlperf import score
from speech_recognition.mlperf.score import RunScore
from speech_recognition.mlperf.score_table import as_json, as_markdown, as_table
from tests.unit.mlperf.runs import MINI, timed_log, write_log, write_points

pytestmark = pytest.mark.usefixtures("rules_read_once")

Output = pytest.CaptureFixture[str]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the logs of four good runs, which took fewer epochs than the reference."""
    points = write_points(tmp_path / "points.json")
    monkeypatch.setattr(score, "reference_points", lambda _: points)
    for number, minutes in enumerate((2.0, 3.0, 4.0, 9.0)):
        write_log(tmp_path / "results" / f"result_{number}.txt", timed_log(70 + number, minutes, epochs=4))
    return tmp_path / "results"


def test_the_table_is_aligned_and_ends_with_the_score(results: Path, capsys: Output) -> None:
    assert main(["score", str(results)]) == 0
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert title == f"{results}: {MINI}, closed division"
    assert head.split() == ["file", "seed", "minutes", "epochs", "samples", "batch", "WER", "verdict"]
    samples = score.run_score(results / "result_1.txt").samples
    assert rows[1].split() == [
        "result_1.txt", "71", "3.00", "4", str(samples), "16", "20.00", "compliant,", "reached"
    ]  # fmt: skip
    assert {row.index("compliant") for row in rows[:4]} == {head.index("verdict")}
    assert rows[4:] == [
        "runs:         4 of 4 are compliant and reached the target; a submission has 10",
        "olympic mean: 3.50 minutes without the fastest and the slowest, standard deviation 3.11",
        "convergence:  passed: RCP found. Submission mean epochs: 4.0000",
        "score:        3.94 minutes, the olympic mean times 1.1250",
    ]


def test_the_json_file_has_every_figure_unrounded(results: Path, tmp_path: Path) -> None:
    assert main(["score", str(results), "--json", str(tmp_path / "scores.json")]) == 0
    (folder,) = json.loads((tmp_path / "scores.json").read_text())
    samples = folder["runs"][3].pop("samples")
    assert samples > 0 and folder["runs"][3] == {
        "file": "result_3.txt",
        "seed": 73,
        "minutes": 9.0,
        "epochs": 4,
        "global_batch_size": 16,
        "wer": 20.0,
        "reached": True,
        "violations": [],
    }
    assert (folder["folder"], folder["benchmark"], folder["division"]) == (str(results), MINI, "closed")
    assert folder["olympic_minutes"] == 3.5 and folder["spread_minutes"] == pytest.approx(3.1091, abs=1e-4)
    assert folder["scaling_factor"] == 1.125 and folder["score_minutes"] == 3.9375
    assert folder["convergence"] == {"passed": True, "message": "RCP found. Submission mean epochs: 4.0000"}


def test_a_json_file_that_cannot_be_written_is_one_line(results: Path, capsys: Output) -> None:
    assert main(["score", str(results), "--json", str(results)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith(f"error: --json {results}: not a regular file")


def test_the_markdown_form_is_a_heading_a_table_and_a_list(results: Path, capsys: Output) -> None:
    assert main(["score", str(results), "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        f"## {results}: {MINI}, closed division",
        "",
        "| file | seed | minutes | epochs | samples | batch | WER | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    assert lines[4].startswith("| result_0.txt | 70 | 2.00 | 4 | ")
    assert lines[-1] == "- score: 3.94 minutes, the olympic mean times 1.1250"


def test_a_run_that_missed_its_target_makes_the_status_1(results: Path, capsys: Output) -> None:
    write_log(results / "result_3.txt", timed_log(73, 9.0, epochs=5, reached=False))
    assert main(["score", str(results)]) == 1
    out = capsys.readouterr().out
    assert "NOT compliant (2 violations), NOT reached" in out
    assert "runs:         3 of 4 are compliant" in out and "olympic mean: 3.50 minutes" in out


def test_convergence_that_is_refused_makes_the_status_1(results: Path, capsys: Output) -> None:
    for number in range(4):
        write_log(results / f"result_{number}.txt", timed_log(number, 2.0, epochs=2))
    assert main(["score", str(results)]) == 1
    assert "convergence:  REFUSED: RCP found. Submission mean epochs: 2.0000\n" in capsys.readouterr().out


def test_several_folders_are_scored_apart(results: Path, tmp_path: Path, capsys: Output) -> None:
    write_log(tmp_path / "one" / "speech_ds2.out", timed_log(1, 5.0, epochs=4))
    assert main(["score", str(results), str(tmp_path / "one")]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.startswith(f"{results}: ") and second.startswith(f"{tmp_path / 'one'}: ")
    assert "olympic mean: none; it needs three runs" in second and "score:" not in second
    assert "convergence:  not checked: it needs 3 runs" in second


def test_bad_input_has_the_status_2_and_one_line(results: Path, capsys: Output) -> None:
    (results / "result_2.txt").write_text("nothing\n")
    assert main(["score", str(results)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(f"error: {results / 'result_2.txt'}: no MLLOG lines")
    assert printed.err.count("\n") == 1


def test_an_unknown_figure_is_a_dash_or_null_and_a_name_cannot_move_the_cursor() -> None:
    unknown = RunScore(
        path=Path("a\x1b[2J") / "b\n.out",
        benchmark=None,
        division=None,
        seed=None,
        minutes=None,
        epochs=None,
        samples=None,
        batch_size=None,
        wer=None,
        reached=False,
        violations=(),
    )
    scored = score.FolderScore(
        folder=Path("a\x1b[2J"),
        benchmark=None,
        division=None,
        runs=(unknown,),
        olympic=None,
        spread=None,
        convergence=None,
        unchecked="a log names no benchmark",
    )
    for text in (as_table([scored]), as_markdown([scored])):
        assert text.splitlines()[0].endswith("a\\x1b[2J: no benchmark, no division")
        assert r"b\n.out" in text and "\x1b" not in text
    assert as_table([scored]).splitlines()[2].split()[1:7] == ["-"] * 6
    (folder,) = json.loads(as_json([scored]))
    assert folder["runs"][0]["wer"] is None and folder["convergence"]["passed"] is None
