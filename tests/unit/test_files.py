"""Tests of atomic writes, and of reading files that somebody else wrote."""

import errno
import multiprocessing
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition import files
from speech_recognition.errors import DiskFullError, InputError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_write(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, files.atomic_write(tmp_path / "table.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write says it
    assert caught.value.filename == str(tmp_path / "table.csv")
    with (
        pytest.raises(OSError, match="File name too long") as caught,
        files.atomic_write(tmp_path / ("x" * 250)) as partial,
    ):
        partial.write_text("new")
    assert caught.value.filename == str(tmp_path / ("x" * 250))


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    path.chmod(0o600)
    with files.atomic_write(path) as partial:
        partial.write_text("new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_finished_write_replaces_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "new" / "table.csv"
    for text in ("first", "second"):
        with files.atomic_write(target) as partial:
            partial.write_text(text)
    assert target.read_text() == "second"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "kept").write_text("old")
    with pytest.raises(RuntimeError), files.atomic_folder(target) as partial:
        (partial / "half").write_text("new")
        raise RuntimeError
    assert (target / "kept").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_finished_folder_takes_the_place_of_the_old_and_of_remains(tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "old").touch()
    (tmp_path / ".data.partial.killed").mkdir()
    with files.atomic_folder(target) as partial:
        (partial / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_what_a_link_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk" / "data").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "data")
    with files.atomic_folder(tmp_path / "link") as partial:
        (partial / "new").touch()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "disk" / "data" / "new").exists()
    assert list((tmp_path / "disk").iterdir()) == [tmp_path / "disk" / "data"]


def test_a_kill_between_the_old_folder_and_the_new_costs_neither(tmp_path: Path) -> None:
    target = tmp_path / "data"
    (tmp_path / ".data.partial.old").mkdir()
    (tmp_path / ".data.partial.old" / "kept").touch()
    with pytest.raises(RuntimeError), files.atomic_folder(target):
        assert (target / "kept").exists()
        raise RuntimeError
    assert (target / "kept").exists() and list(tmp_path.iterdir()) == [target]


def test_an_interrupt_between_the_old_folder_and_the_new_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, rename = tmp_path / "data", Path.rename
    target.mkdir()
    (target / "kept").touch()

    def interrupted(path: Path, to: Path) -> Path:
        if to == target and (path / "new").exists():
            raise KeyboardInterrupt
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), files.atomic_folder(target) as partial:
        (partial / "new").touch()
    assert (target / "kept").exists() and list(tmp_path.iterdir()) == [target]


def test_two_processes_do_not_make_one_folder(tmp_path: Path) -> None:
    target = tmp_path / "data"
    with files.atomic_folder(target) as partial:
        (partial / "first").touch()
        with pytest.raises(InputError, match="another process is making it; wait for it"), files.atomic_folder(target):
            pytest.fail("begun")
    assert [path.name for path in target.iterdir()] == ["first"] and list(tmp_path.iterdir()) == [target]


def test_a_forked_process_does_not_hold_on(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()

    def live() -> None:
        ready.set()
        time.sleep(60)

    with files.held(tmp_path, "held"):
        child = context.Process(target=live)
        child.start()
        assert ready.wait(30)
    try:
        with files.held(tmp_path, "held"):
            assert child.is_alive()
    finally:
        child.kill()
        child.join()


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with files.held(tmp_path, "held"):
        pass


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "target")
    with pytest.raises(InputError, match="target: not a regular file"), files.atomic_write(tmp_path / "target"):
        pytest.fail("begun")
    assert not (tmp_path / "target").is_file()


def test_a_link_to_a_file_stays_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    with files.atomic_write(tmp_path / "link") as partial:
        partial.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"


def test_too_little_disk_is_found_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"--data-dir .* needs 1000000000\.0 GB of free disk"):
        files.check_writable(tmp_path / "a" / "b", 10**18, "--data-dir")
    assert not (tmp_path / "a").exists()


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is not a folder"):
        files.check_writable(tmp_path / "file" / "b", 1, "--output-dir")


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(InputError, match=r"--output-dir .* cannot be written"):
        files.check_writable(tmp_path, 1, "--output-dir")


def test_only_a_regular_file_of_a_sensible_size_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "large").write_bytes(b"12345")
    for name, message in (
        ("pipe", "not a regular file; mend it"),
        ("link", "not a regular file; mend it"),
        (".", "not a regular file; mend it"),
        ("gone", "No such file or directory; mend it"),
        ("x" * 300, "File name too long; mend it"),
        ("large", "has over 4 bytes, more than a file of this kind can have; mend it"),
    ):
        with pytest.raises(InputError, match=message):
            files.read_input(tmp_path / name, "mend it", most_bytes=4)
    assert files.read_input(tmp_path / "large", "mend it", most_bytes=5) == b"12345"


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "1" * 5_000])
def test_json_that_is_none_is_refused_by_name(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json: cannot be read as JSON"):
        files.read_json(tmp_path / "a.json", "mend it")


def test_unfinished_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    """Their names match what a user's name means as a glob, or begin as ours does."""
    others = [".b.partial.12345678", ".a.partial.b.partial.12345678", ".[ab].partial.x.old"]
    for name in others:
        (tmp_path / name).mkdir()
    for name in ("?", "[ab]", "*", "a"):
        (tmp_path / f".{name}.partial.killed").mkdir()
        with files.atomic_folder(tmp_path / name) as partial:
            (partial / "new").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "?", "[ab]", "*", "a"])


def test_remains_that_are_no_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / ".data.partial.link").symlink_to(tmp_path / "kept")
    os.mkfifo(tmp_path / ".data.partial.pipe")
    with files.atomic_folder(tmp_path / "data"):
        pass
    assert (tmp_path / "kept").is_dir() and (tmp_path / "data").is_dir()


def test_a_regular_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert files.read_regular(tmp_path / "a", 5) == b"12345"
    with pytest.raises(InputError, match="a: has over 4 bytes"):
        files.read_regular(tmp_path / "a", 4)


def test_a_pipe_is_neither_waited_for_nor_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a regular file"):
            files.open_regular(path)


def test_a_link_that_leads_back_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with (
        pytest.raises(InputError, match="loop: a link that points to itself"),
        files.atomic_folder(tmp_path / "loop"),
    ):
        pass
    with (
        pytest.raises(InputError, match="loop: a link that points to itself"),
        files.atomic_write(tmp_path / "loop"),
    ):
        pass
