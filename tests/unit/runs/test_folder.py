"""Tests of the names in the folder of a run."""

import os
from pathlib import Path

import pytest

import params
from speech_recognition.errors import InputError
from speech_recognition.runs.folder import RunFolder, open_folder
from speech_recognition.runs.log import Output
from speech_recognition.runtime.distributed import ALONE, Launch

RESTARTED = Launch(local_rank=0, run_id="job 7", restarts=1, max_restarts=3)


def log_of_a_run_in(folder: Path, launch: Launch = ALONE) -> str:
    """The name of the log that a run in `folder` writes."""
    with open_folder(folder, params.mini(), {}, launch) as output:
        assert isinstance(output, Output)
        return output.path.name


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], "speech_ds2.out"),
        (["speech_ds2.out"], "speech_ds2_resumed_1.out"),
        (["speech_ds2.out", "speech_ds2_resumed_2.out"], "speech_ds2_resumed_3.out"),
        (["speech_ds2_resumed_9.out", "speech_ds2_resumed_10.out"], "speech_ds2_resumed_11.out"),
        (["speech_ds2_copy.out", f"speech_ds2_resumed_{'9' * 5000}.out"[-200:]], "speech_ds2.out"),
    ],
)
def test_a_continuation_takes_the_number_after_the_highest(tmp_path: Path, there: list[str], expected: str) -> None:
    for name in there:
        (tmp_path / name).write_text("of before\n")
    assert log_of_a_run_in(tmp_path) == expected
    assert all((tmp_path / name).read_text() == "of before\n" for name in there)


def test_restarted_processes_go_on_in_the_newest_log(tmp_path: Path) -> None:
    for name in ("speech_ds2.out", "speech_ds2_resumed_2.out", "speech_ds2_resumed_10.out"):
        (tmp_path / name).write_bytes(b"caf\xe9\ncut off")
    assert log_of_a_run_in(tmp_path, RESTARTED) == "speech_ds2_resumed_10.out"
    assert (tmp_path / "speech_ds2_resumed_10.out").read_bytes() == b"caf\xe9\n"


@pytest.mark.parametrize(
    "name",
    [
        "speech_ds2.out",
        "torchrun_id",
        "params.json",
        "command.txt",
        "steps.csv",
        "checkpoints",
        "checkpoints/last.pt",
        "checkpoints/.last.pt.1.partial",
    ],
)
@pytest.mark.parametrize("launch", [ALONE, RESTARTED])
def test_a_link_out_of_the_folder_is_refused_and_its_target_left_alone(
    tmp_path: Path, name: str, launch: Launch
) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "run"
    outside.mkdir()
    (outside / "thesis").write_text("two years of work")
    (outside / ".x.partial").write_text("also mine")
    (folder / name).parent.mkdir(parents=True)
    (folder / name).symlink_to(outside if name == "checkpoints" else outside / "thesis")
    with pytest.raises(InputError, match=f"{folder / name}: leads out of the run's folder"):
        log_of_a_run_in(folder, launch)
    assert (outside / "thesis").read_text() == "two years of work" and (outside / ".x.partial").exists()


@pytest.mark.parametrize("kind", ["fifo", "loop", "dangling"])
def test_what_is_no_file_is_refused_unopened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "speech_ds2.out"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "loop" else tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"speech_ds2\.out: .* is no file"):
        log_of_a_run_in(tmp_path, RESTARTED)


def test_the_folder_itself_and_what_stays_in_it_may_be_links(tmp_path: Path) -> None:
    (tmp_path / "disk" / "checkpoints").mkdir(parents=True)
    (tmp_path / "disk" / "checkpoints" / "epoch_01.pt").touch()
    (tmp_path / "disk" / "checkpoints" / "best.pt").symlink_to("epoch_01.pt")
    (tmp_path / "run").symlink_to("disk")
    assert log_of_a_run_in(tmp_path / "run") == "speech_ds2.out"


def test_a_name_of_torchruns_that_is_no_text_is_another_runs(tmp_path: Path) -> None:
    (tmp_path / "torchrun_id").write_bytes(b"job \xff\n")
    assert RunFolder(tmp_path).torchrun_id() not in (None, "job 7")
