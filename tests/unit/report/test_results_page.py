"""Tests of the table of runs on a page of results, and of the command `results`."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.errors import InputError
from speech_recognition.report.record import read_record
from speech_recognition.report.results_page import COLUMNS, append_rows, row
from speech_recognition.runs.folder import RunFolder

Maker = Callable[..., Path]

HEAD = f"| {' | '.join(COLUMNS)} |"
DASHES = "|---" * len(COLUMNS) + "|"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Return a page whose table of runs has no row, with text before and after it."""
    path = tmp_path / "RESULTS.md"
    path.write_text(f"# Results\n\n| a | b |\n|---|---|\n\n{HEAD}\n{DASHES}\n\nThe end.\n")
    return path


def set_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def rows_of(page: Path) -> list[str]:
    lines = page.read_text().splitlines()
    return [line for line in lines[lines.index(DASHES) + 1 :] if line.startswith("|")]


def test_a_row_says_what_the_folder_of_the_run_says(run_folder: Maker) -> None:
    folder = run_folder()
    # The batch of 16 in parts of 4: two processes with two parts each.
    for key, old, new in (("micro_batch_size", 16, 4), ("gradient_accumulation_steps", 1, 2)):
        set_in(folder / "speech_ds2.out", f'"key": "{key}", "value": {old},', f'"key": "{key}", "value": {new},')
    RunFolder(folder).command.write_text("python -m speech_recognition train --seed 7\n")
    cells = dict(zip(COLUMNS, row(read_record(folder)), strict=True))
    assert "memory" in cells["machine"] and cells["began"].endswith(" UTC")
    assert [cells[name] for name in ("preset", "seed", "precision", "processes", "epochs")] == [
        *("mini", "7", "fp32", "2", "2"),
    ]
    assert (cells["WER"], cells["target"], cells["audio s/s"]) == ("21.00", "23 reached", "160")
    assert cells["command"] == "`python -m speech_recognition train --seed 7`"
    missed = read_record(run_folder("missed", wers=(50.0,) * 9 + (31.0,)))
    cells = dict(zip(COLUMNS, row(missed, "a | b"), strict=True))
    assert (cells["WER"], cells["target"], cells["command"]) == ("31.00", "23 missed", r"`a \| b`")


def test_the_command_adds_rows_to_the_table_and_leaves_the_rest_of_the_page(
    run_folder: Maker, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = page.read_text()
    folders = [run_folder(f"{seed}", seed=seed) for seed in (3, 4)]
    assert main(["results", *map(str, folders), "--page", str(page), "--command", "sh run.sh"]) == 0
    added = capsys.readouterr().out.splitlines()
    assert len(added) == 2 and rows_of(page) == added
    assert page.read_text() == before.replace(DASHES, "\n".join([DASHES, *added]))
    assert not list(page.parent.glob(".*"))


def test_rows_of_a_machine_and_of_a_preset_stand_together(run_folder: Maker, page: Path) -> None:
    def add(machine: str, preset: str, seed: int) -> None:
        folder = run_folder(f"{machine}_{preset}_{seed}", seed=seed)
        set_in(folder / "params.json", '"preset": "mini"', f'"preset": "{preset}"')
        RunFolder(folder).system.write_text(f'{{"host_processor_model_name": "{machine}"}}')
        append_rows(page, [read_record(folder)], "sh run.sh")

    order = [
        ("one", "mini", 1),
        ("other", "mini", 5),
        ("one", "tensorflow", 1),
        ("one", "mini", 2),
        ("other", "mini", 4),
    ]
    for each in order:
        add(*each)
    assert [tuple(line.split(" | ")[:3]) for line in rows_of(page)] == [
        ("| one", "mini", "1"),
        ("| one", "mini", "2"),
        ("| one", "tensorflow", "1"),
        ("| other", "mini", "5"),
        ("| other", "mini", "4"),
    ]


def test_a_row_that_is_there_already_is_refused_whatever_its_command(run_folder: Maker, page: Path) -> None:
    record = read_record(run_folder())
    append_rows(page, [record], "a | b")
    before = page.read_text()
    for records in ([record], [read_record(run_folder("new", seed=8)), record]):
        with pytest.raises(InputError, match=rf"{record.folder}: its row is in .*RESULTS\.md already"):
            append_rows(page, records, "sh run.sh")
    assert page.read_text() == before


def stopped(folder: Path) -> None:
    """Make a run out of the good one that was stopped after its second epoch."""
    set_in(folder / "speech_ds2.out", '"status": "success"', '"status": "aborted"')


def resumed(folder: Path) -> None:
    (folder / "speech_ds2_resumed_1.out").write_text((folder / "speech_ds2.out").read_text())


def unended(folder: Path) -> None:
    log = folder / "speech_ds2.out"
    log.write_text("".join(line for line in log.read_text().splitlines(keepends=True) if "run_stop" not in line))


def without_start(folder: Path) -> None:
    set_in(folder / "speech_ds2.out", '"key": "run_start"', '"key": "run_begin"')


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (unended, "the run has not ended"),
        (lambda folder: (folder / "metrics.csv").unlink(), r"has no epoch in metrics\.csv"),
        (without_start, "the log lacks the seed or run_start"),
        (stopped, "the run was stopped after epoch 2 of 10"),
        (resumed, "the run was resumed"),
        (lambda folder: (folder / "system.json").unlink(), "has no description of the machine"),
        (lambda folder: (folder / "command.txt").write_text("\n"), r"command\.txt: is empty; give"),
        (lambda folder: None, r"command\.txt: missing, .* give the command with --command TEXT"),
    ],
)
def test_a_run_that_is_no_result_is_refused_in_one_line(
    damage: Callable[[Path], object], reason: str, run_folder: Maker, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, before = run_folder(), page.read_text()
    damage(folder)
    assert main(["results", str(folder), "--page", str(page)]) == 2
    with pytest.raises(InputError, match=reason):
        append_rows(page, [read_record(folder)])
    assert capsys.readouterr().err.count("\n") == 1 and page.read_text() == before


def test_a_page_keeps_its_line_ends_and_its_permissions(run_folder: Maker, page: Path) -> None:
    page.write_bytes(page.read_bytes().replace(b"\n", b"\r\n"))
    page.chmod(0o640)
    (line,) = append_rows(page, [read_record(run_folder())], "sh run.sh")
    assert f"{DASHES}\r\n{line}\r\n".encode() in page.read_bytes()
    assert page.read_bytes().count(b"\n") == page.read_bytes().count(b"\r\n")
    assert page.stat().st_mode & 0o777 == 0o640


def test_of_two_programs_at_once_the_second_is_refused(run_folder: Maker, page: Path) -> None:
    """Else it would write the page as it had read it, without the rows of the first."""
    record, before = read_record(run_folder()), page.read_text()
    link = page.parent / "elsewhere" / "link.md"
    link.parent.mkdir()
    link.symlink_to(page)
    other = os.open(page.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    for path in (page, link):
        with pytest.raises(InputError, match="another program is adding rows to it; run again"):
            append_rows(path, [record], "sh run.sh")
    os.close(other)
    assert page.read_text() == before


def test_a_command_with_backquotes_stays_one_piece_of_code(run_folder: Maker) -> None:
    assert row(read_record(run_folder()), "run `date`")[-1] == "`` run `date` ``"


def test_a_machine_with_a_blank_around_its_name_is_known_again(run_folder: Maker, page: Path) -> None:
    folder = run_folder()
    record = read_record(folder)
    record.system["host_processor_model_name"] = f" {record.system['host_processor_model_name']} "
    append_rows(page, [record], "sh run.sh")
    with pytest.raises(InputError, match="its row is in"):
        append_rows(page, [record], "sh run.sh")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# Results\n", r"has no table of runs; add the line \| machine"),
        (f"{HEAD}\nno dashes\n".encode(), "has no table of runs"),
        (f"{HEAD}\n{DASHES}\n| one | cell |\n".encode(), "line 3 has 2 cells, the table has 13"),
        (b"\xff", "is not text in UTF-8"),
        (None, "No such file"),
    ],
)
def test_a_page_without_a_table_of_runs_is_refused(
    content: bytes | None, reason: str, run_folder: Maker, page: Path
) -> None:
    page.unlink()
    if content is not None:
        page.write_bytes(content)
    with pytest.raises(InputError, match=f"^{page}: .*{reason}"):
        append_rows(page, [read_record(run_folder())], "sh run.sh")
    assert (page.read_bytes() if page.exists() else None) == content


def test_the_page_of_this_repository_has_the_table(run_folder: Maker, tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    page = tmp_path / "RESULTS.md"
    page.write_text((root / "docs" / "RESULTS.md").read_text())
    added = append_rows(page, [read_record(run_folder())], "sh run.sh")
    assert set(page.read_text().splitlines()) - set((root / "docs" / "RESULTS.md").read_text().splitlines()) == {*added}
