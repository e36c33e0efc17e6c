"""The names in the folder of a series of runs."""

from pathlib import Path

import pytest

from speech_recognition.errors import InputError
from speech_recognition.runs.series_folder import SeriesFolder


def test_the_names_are_those_of_the_documents(tmp_path: Path) -> None:
    folder = SeriesFolder(tmp_path)
    paths = [folder.summary, folder.result(3), folder.run(3).path, folder.run(3).log]
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "summary.json",
        "result_3.txt",
        "run_3",
        "run_3/speech_ds2.out",
    ]


def test_results_are_in_the_order_of_the_runs(tmp_path: Path) -> None:
    folder = SeriesFolder(tmp_path)
    for number in range(12):
        folder.result(number).touch()
    folder.summary.touch()
    assert folder.results() == [tmp_path / f"result_{number}.txt" for number in range(12)]


@pytest.mark.parametrize("names", [
    [],
    ["result_1.txt", "result_2.txt"],
    ["result_0.txt", "result_2.txt"],
    ["result_0.txt", "result_1.txt", "result_1 (copy).txt"],
    ["result_0.txt", "result_01.txt"],
])  # fmt: skip
def test_results_with_a_gap_or_a_stranger_are_no_series(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=rf"{tmp_path}: no result_0\.txt, result_1\.txt and so on; give the folder"):
        SeriesFolder(tmp_path).results()


def test_runs_that_have_begun_a_log_are_in_order(tmp_path: Path) -> None:
    folder = SeriesFolder(tmp_path)
    for number in (0, 10, 2):
        folder.run(number).path.mkdir()
        folder.run(number).log.touch()
    folder.run(1).path.mkdir()  # killed before its log began
    assert folder.runs() == [folder.run(0), folder.run(2), folder.run(10)]
    assert SeriesFolder(tmp_path / "gone").runs() == []


@pytest.mark.parametrize(
    ("there", "logs"),
    [
        (["result_2.txt", "result_10.txt", "result_1.txt"], ["result_1.txt", "result_2.txt", "result_10.txt"]),
        (["result_0.txt", "run_0/speech_ds2.out", "speech_ds2.out", "scaling.json"], ["result_0.txt"]),
        (["run_10/speech_ds2.out", "run_9/speech_ds2.out", "a.out"], ["run_9/speech_ds2.out", "run_10/speech_ds2.out"]),
        (["speech_ds2.out", "speech_ds2_resumed_1.out", "params.json"], ["speech_ds2.out", "speech_ds2_resumed_1.out"]),
        (["README.md"], []),
    ],
)  # fmt: skip
def test_the_logs_of_others_are_found_by_their_pattern(tmp_path: Path, there: list[str], logs: list[str]) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert SeriesFolder(tmp_path).all_logs() == [tmp_path / name for name in logs]
    assert SeriesFolder(tmp_path / "gone").all_logs() == []
