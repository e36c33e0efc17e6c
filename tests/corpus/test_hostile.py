"""Inputs that somebody made to lose recordings, to fill memory, to wait for ever or to forge a line of ours.

Each is run as the command line runs it, and has to end in its exit status and one line. An input that is read
without a bound, or waited for, does not fail here but by the time limit.
"""

import functools
import gzip
import json
import os
import re
import struct
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_recognition import cli
from speech_recognition.cli import main
from speech_recognition.commands import dataset as dataset_command
from speech_recognition.corpus.audio import write_wav
from speech_recognition.corpus.checksum import write_reference
from speech_recognition.corpus.librispeech import prepare
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.errors import InputError

CHAPTER = Path("train-clean-5/19/198")
FLAC, TRANSCRIPTS = CHAPTER / "19-198-0000.flac", CHAPTER / "19-198.trans.txt"


@dataclass(frozen=True)
class Attack:
    """What is done to an input, and a pattern of the one line that it is refused with."""

    name: str
    make: Callable[..., object]
    message: str


def table(*attacks: Attack) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("attack", attacks, ids=[each.name for each in attacks])


@pytest.fixture(autouse=True, scope="module")
def one_parser() -> Iterator[None]:
    """Build the command line's parser once: it takes longer than most of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "_parser", functools.cache(cli._parser))
        yield


def refuse(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """Run a command that has to end in exit status 2, one printable line, and nothing on standard output."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    last = captured.err.splitlines()[-1]
    assert re.search(message, last), last
    assert last.startswith("error: ") and last.isprintable() and len(last) < 2100
    assert captured.out == "" and not [line for line in captured.err.splitlines()[:-1] if "error" in line]


def make_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


# Archives


def members(source: Path, form: int = tarfile.PAX_FORMAT) -> list[bytes]:
    """Header and content of each file of the source, as blocks of a tar archive."""
    blocks = []
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        blocks.append(block(f"LibriSpeech/{path.relative_to(source)}", path.read_bytes(), form))
    return blocks


def block(name: str, content: bytes, form: int = tarfile.PAX_FORMAT, **fields: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(form) + content + bytes(-len(content) % 512)


END = bytes(1024)


def spoil_header(blocks: list[bytes]) -> bytes:
    middle = bytearray(blocks[4])
    middle[0] ^= 1
    return b"".join([*blocks[:4], bytes(middle), *blocks[5:], END])


def with_zeros(count: int) -> Callable[[list[bytes]], bytes]:
    return lambda blocks: b"".join([*blocks[:4], bytes(count), *blocks[4:], END])


def sparse(blocks: list[bytes]) -> bytes:
    """Twelve FLAC files of 256 MB each, all hole: a few hundred bytes each."""
    pieces = []
    for index in range(12):
        size, name = 255 << 20, f"LibriSpeech/{CHAPTER}/19-198-{100 + index:04d}.flac"
        keys = {"major": "1", "minor": "0", "name": name, "realsize": str(size)}
        hole = f"1\n{size}\n0\n".encode().ljust(512, b"\0")
        pax_headers = {f"GNU.sparse.{key}": value for key, value in keys.items()}
        pieces.append(block(name, hole, pax_headers=pax_headers))
    return b"".join([*pieces, *blocks, END])


def old_sparse(blocks: list[bytes]) -> bytes:
    info = tarfile.TarInfo(f"LibriSpeech/{FLAC}")
    info.type = tarfile.GNUTYPE_SPARSE
    return info.tobuf(tarfile.GNU_FORMAT) + b"".join(blocks) + END


def with_member(name: str, content: bytes = b"") -> Callable[[list[bytes]], bytes]:
    return lambda blocks: block(name, content) + b"".join(blocks) + END


def promising(name: str, size: int) -> Callable[[list[bytes]], bytes]:
    """Begin with a header that promises more than memory should hold, without the content."""
    info = tarfile.TarInfo(name)
    info.size = size
    return lambda blocks: info.tobuf(tarfile.GNU_FORMAT) + b"".join(blocks) + END


def twice(blocks: list[bytes]) -> bytes:
    """The chapter's transcripts are there a second time, with a word changed."""
    return block(f"LibriSpeech/{TRANSCRIPTS}", b"19-198-0000 A CHANGED ABBEY\n") + b"".join(blocks) + END


@table(
    Attack("a damaged header in the middle", spoil_header, "bad header at byte .*bad checksum"),
    Attack("cut at a member's end", lambda blocks: b"".join(blocks[:4]), "truncated, it has no end"),
    Attack("cut at a header's middle", lambda blocks: b"".join(blocks)[:-300], "truncated"),
    Attack("one block of zeros at the end", lambda blocks: b"".join(blocks) + bytes(512), "truncated, its end"),
    Attack("one block of zeros within", with_zeros(512), "goes on after the zeros"),
    Attack("two blocks of zeros within", with_zeros(1024), "goes on after the zeros"),
    Attack("many blocks of zeros within", with_zeros(1 << 20), "goes on after the zeros"),
    Attack("two archives in one", lambda blocks: 2 * (b"".join(blocks) + END), "goes on after the zeros"),
    Attack("something after the end", lambda blocks: b"".join(blocks) + END + b"x", "goes on after the zeros"),
    Attack("zeros alone", lambda _: END, "no recordings"),
    Attack("sparse pax members", sparse, "neither a file nor a folder"),
    Attack("a sparse GNU member", old_sparse, "neither a file nor a folder"),
    Attack("a FLAC file of 200 MB", promising(f"LibriSpeech/{FLAC}", 200 << 20), "or too large"),
    Attack("transcripts of 20 MB", promising(f"LibriSpeech/{TRANSCRIPTS}", 20 << 20), "or too large"),
    Attack("an id of 85 bytes", with_member(f"LibriSpeech/train-x/1/2/1-2-{81 * '0'}.flac"), "80 bytes at most"),
    Attack("an escape in a speaker", with_member("LibriSpeech/train-x/\x1b[2J/2/\x1b[2J-2-1.flac"), "printable"),
    Attack("an escape in a subset", with_member("LibriSpeech/train-\x1b[2J/1/2/1-2-1.flac"), "subset folders"),
    Attack("bytes that are no text", with_member("LibriSpeech/train-x/\udcff/2/\udcff-2-1.flac"), "printable"),
    Attack("a name that forges a line", with_member("/x\nDataset Checksum Passed.\x1b[1A"), r"\\nDataset .*\\x1b\[1A"),
    Attack("a name of a megabyte", with_member("/" + 900_000 * "x"), "leads out of the archive"),
    Attack("a second, different transcript", twice, r"19-198-0000 has a different transcript in .*trans\.txt:1"),
)
def test_a_hostile_archive(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], attack: Attack) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(attack.make(members(source)), 1))
    refuse(capsys, ["prepare", str(archive), "--data-dir", str(tmp_path / "out")], attack.message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LibriSpeech", "a.tar.gz"]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_the_same_archive_unharmed(source: Path, tmp_path: Path, form: int) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(b"".join(members(source, form)) + END))
    assert prepare(archive, tmp_path / "out").train.utterances == 2


# Folders in LibriSpeech's layout


def link_loop(source: Path) -> None:
    (source / CHAPTER / "up").symlink_to(source / "train-clean-5")


def link_to_nothing(source: Path) -> None:
    (source / "train-clean-5" / "20").symlink_to(source / "gone")


def subset_to_nothing(source: Path) -> None:
    (source / "dev-other").symlink_to(source / "gone")


def link_twice(source: Path) -> None:
    (source / "train-clean-5" / "20").symlink_to(source / "train-clean-5" / "19")


def transcripts_in_two_subsets(source: Path) -> None:
    other = source / "train-other-500" / "19" / "198"
    other.mkdir(parents=True)
    (source / FLAC).rename(other / FLAC.name)
    (other / TRANSCRIPTS.name).write_text("19-198-0000 A CHANGED ABBEY\n")


def rename_chapter(speaker: str) -> Callable[[Path], None]:
    def rename(source: Path) -> None:
        place = source / "train-clean-5" / speaker / "1"
        place.mkdir(parents=True)
        (source / FLAC).rename(place / f"{speaker}-1-0000.flac")

    return rename


def large_flac(source: Path) -> None:
    with (source / FLAC).open("ab") as file:
        file.truncate(300 << 20)


@table(
    Attack("a link that leads back", link_loop, "198/up: a link to .*, which is read already"),
    Attack("a speaker's link to nothing", link_to_nothing, "5/20: a link to nothing"),
    Attack("a subset's link to nothing", subset_to_nothing, "dev-other: a link to nothing"),
    Attack("one speaker twice", link_twice, "5/20: a link to .*5/19, which is read already"),
    Attack("two transcripts", transcripts_in_two_subsets, "different transcript in .*/19-198.trans.txt:1"),
    Attack("an id of 85 bytes", rename_chapter(78 * "1"), "80 bytes at most"),
    Attack("an id that forges a line", rename_chapter("1\nerror: x"), "printable"),
    Attack("an id that is no text", rename_chapter("\udcff"), "printable"),
    Attack("a pipe", lambda source: make_pipe(source / FLAC), "is no file"),
    Attack("a pipe of transcripts", lambda source: make_pipe(source / TRANSCRIPTS), "is no file"),
    Attack("a FLAC file of 300 MB", large_flac, "has over"),
)
def test_a_hostile_folder(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], attack: Attack) -> None:
    attack.make(source)
    refuse(capsys, ["prepare", str(source), "--data-dir", str(tmp_path / "out")], attack.message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_linked_folders_are_read(source: Path, tmp_path: Path, depth: int) -> None:
    folder = source / Path(*CHAPTER.parts[:depth])
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert prepare(source, tmp_path / "out").train.utterances == 2


@pytest.mark.parametrize("name", ["pipe.tar.gz", "folder.tar.gz"])
def test_no_archive_but_its_name(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Beside an archive: a folder of archives may hold anything."""
    place = tmp_path / "archives"
    place.mkdir()
    make_pipe(place / name) if name.startswith("pipe") else (place / name).mkdir()
    refuse(capsys, ["prepare", str(place), "--data-dir", str(tmp_path / "out")], f"{name}: ")
    if name.startswith("pipe"):
        refuse(capsys, ["prepare", str(place / name), "--data-dir", str(tmp_path / "out")], "no regular file")


def test_a_data_folder_that_leads_back_to_itself(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refuse(capsys, ["prepare", str(source), "--data-dir", str(tmp_path / "loop")], "a link that leads back to itself")
    refuse(capsys, ["verify", "mini", "--data-dir", "x", "--tar", str(tmp_path / "loop")], "leads back to itself")


# Manifests and the recordings that they name


def lying_wav(path: Path, rate: int = 16_000) -> None:
    """Promise a half of the samples."""
    soundfile.write(path, np.arange(2000, dtype=np.int16), rate)
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", 2000)
    path.write_bytes(content)


def lying(suffix: str, chunk: bytes, size: bytes) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        path = folder / f"lying.{suffix}"
        soundfile.write(path, np.arange(2000, dtype=np.int16), 8000)
        content = bytearray(path.read_bytes())
        place = content.index(chunk) + len(chunk)
        content[place : place + 4] = size
        path.write_bytes(content)
        return f"audio,transcript\nlying.{suffix},GO\n"

    return make


def many_values(folder: Path) -> str:
    soundfile.write(folder / "many.flac", np.zeros((1000, 8), np.int16), 16_000)
    content = bytearray((folder / "many.flac").read_bytes())
    packed = int.from_bytes(content[18:26], "big") >> 36 << 36 | 3600 * 16_000
    content[18:26] = packed.to_bytes(8, "big")
    (folder / "many.flac").write_bytes(content)
    return "audio,transcript\nmany.flac,GO\n"


def text(make: Callable[[Path], object]) -> Callable[[Path], str]:
    """A row of which the text, at `text`, is made by `make`."""

    def rows(folder: Path) -> str:
        make(folder / "text")
        return "audio,text\none.wav,text\n"

    return rows


def audio(make: Callable[[Path], object]) -> Callable[[Path], str]:
    def rows(folder: Path) -> str:
        make(folder / "made.wav")
        return "audio,transcript\nmade.wav,GO\n"

    return rows


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def samples_json(**sample: str) -> str:
    return json.dumps({"root_path": "", "samples": [{"wav_path": "one.wav", "transcript_path": "one.txt"} | sample]})


def hidden_bytes(folder: Path) -> str:
    (folder / "\udcff").mkdir()
    (folder / "one.txt").write_text("GO")
    write_wav(folder / "\udcff" / "\udcff.wav", np.ones(1000, np.int16))
    return samples_json(wav_path=f"{folder}/\udcff/\udcff.wav", transcript_path=f"{folder}/one.txt")


MANIFESTS = (
    Attack("a text that is a device", text(device), "text: is no regular file"),
    Attack("a text that is a pipe", text(make_pipe), "text: is no regular file"),
    Attack("a text that is a folder", text(Path.mkdir), "text file .* cannot be read"),
    Attack("a text of a terabyte", text(large), "text: has over 1000000 bytes"),
    Attack("a recording that is a device", audio(device), r"made\.wav is no regular file"),
    Attack("a recording that is a pipe", audio(make_pipe), r"made\.wav is no regular file"),
    Attack(
        "a recording's long path", lambda _: f"audio,transcript\n{300 * 'x'}/one.wav,GO\n", "cannot be read .File name"
    ),
    Attack("a zero in a path", lambda _: "audio,transcript\none.wav\0,GO\n", "does not exist"),
    Attack("a zero in a text's path", lambda _: "audio,text\none.wav,one\0.txt\n", "cannot be read"),
    Attack("half a surrogate", lambda _: samples_json(wav_path="\ud800.wav"), "printable"),
    Attack("an id that is no text", hidden_bytes, "utterance_id .* must be printable"),
    Attack(
        "an id that forges a line",
        lambda _: 'audio,transcript,utterance_id\none.wav,GO,"x\nerror: y"\n',
        "utterance_id 'x.*error: y' must be printable",
    ),
    Attack(
        "a subset that clears the screen",
        lambda _: "audio,transcript,subset\none.wav,GO,\x1b[2J\n",
        "subset .* must be printable",
    ),
    Attack(
        "a speaker of 300 characters",
        lambda _: f"audio,transcript,speaker\none.wav,GO,{300 * 'x'}\n",
        "speaker .* 200 characters at most",
    ),
    Attack("a line of 2 MB", lambda _: "audio,transcript\n" + "\0" * 2_000_000, r"train\.csv:2: a line of over"),
    Attack("JSON of great depth", lambda _: '{"a":' + 100_000 * "[", "not a manifest"),
    Attack("a number of 5000 digits", lambda _: '{"a":' + 5000 * "1" + "}", "not a manifest"),
    Attack("a WAV file that promises less", audio(lying_wav), "1000 samples, after which 2000 bytes belong to nothing"),
)


@table(
    *MANIFESTS,
    Attack("other names of files", lambda _: "audio,transcript,utterance_id\none.wav,GO,../x\n", "name of a file"),
    Attack("an AIFF file that promises less", lying("aiff", b"SSND", struct.pack(">I", 2008)), "belong to nothing"),
    Attack(
        "an AU file that promises less", lying("au", b".snd\0\0\0\x18", struct.pack(">I", 2000)), "belong to nothing"
    ),
    Attack("460 million values", many_values, "57600000 samples of 8 channels, must be 345600000 together"),
)
def test_a_hostile_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str], attack: Attack) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    write_wav(folder / "one.wav", np.ones(1000, np.int16))
    (folder / "train.csv").write_text(attack.make(folder))
    arguments = ["prepare", "--manifest", str(folder / "train.csv"), "--data-dir", str(tmp_path / "out")]
    refuse(capsys, arguments, attack.message)
    assert not (tmp_path / "out").exists()


@table(
    *MANIFESTS,
    Attack(
        "3 hours in a row", lambda _: f"audio,transcript,samples\none.wav,GO,{3 * 3600 * 16_000}\n", "of an hour at"
    ),
    Attack("3 hours in a header", audio(lambda path: three_hours(path)), "172800000 samples, more than an hour"),
)
def test_a_hostile_manifest_to_train_on(tmp_path: Path, attack: Attack) -> None:
    write_wav(tmp_path / "one.wav", np.ones(1000, np.int16))
    (tmp_path / "train.csv").write_text(attack.make(tmp_path))
    with pytest.raises(InputError, match=f"(?s){attack.message}"):
        read_manifest(tmp_path / "train.csv")


def three_hours(path: Path) -> None:
    size = 2 * 3 * 3600 * 16_000
    write_wav(path, np.ones(10, np.int16))
    content = bytearray(path.read_bytes()[:44])
    content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    os.truncate(path, 44 + size)


@pytest.mark.parametrize("make", [make_pipe, device], ids=["pipe", "device"])
def test_a_manifest_that_never_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None]
) -> None:
    make(tmp_path / "train.csv")
    arguments = ["prepare", "--manifest", str(tmp_path / "train.csv"), "--data-dir", str(tmp_path / "out")]
    refuse(capsys, arguments, r"train\.csv: is no regular file")


def test_a_data_folder_whose_name_is_no_text(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its path is part of the form mlperf."""
    out = str(tmp_path / "\udcff")
    assert main(["prepare", str(source), "--data-dir", out]) == 0
    capsys.readouterr()
    refuse(capsys, ["prepare", str(source), "--data-dir", out, "--format", "mlperf"], "is not UTF-8")


# Datasets to verify


@pytest.fixture
def dataset(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A dataset that is the pinned reference of mini."""
    prepare(source, tmp_path / "data", "mini")
    write_reference(tmp_path / "data", tmp_path / "pinned", "mini")
    monkeypatch.setattr(dataset_command, "REFERENCES", tmp_path / "pinned")
    yield tmp_path / "data"


def sparse_file(size: int, name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with (folder / name).open("wb") as file:
            file.truncate(size)

    return make


def deep_folders(folder: Path) -> None:
    """Deeper than a path may be long."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(30):
            os.mkdir(200 * "d")
            os.chdir(200 * "d")
        Path("file").touch()
    finally:
        os.chdir(before)


COUNTS = "manifests/counts.json"


@table(
    Attack("a file over 1 GiB", sparse_file((1 << 30) + 1, "large"), "extra: large"),
    Attack("a terabyte", sparse_file(1 << 40, "train/wav/19-198-0000.wav"), "differs: train/wav/19-198-0000.wav"),
    Attack("a name of 120 bytes", sparse_file(0, 120 * "n"), f"extra: {120 * 'n'}"),
    Attack("folders deeper than a path", deep_folders, f"extra: {200 * 'd'}"),
    Attack("a pipe", lambda folder: make_pipe(folder / COUNTS), f"differs: {COUNTS}"),
    Attack("counts of great depth", lambda folder: (folder / COUNTS).write_text(100_000 * "["), f"differs: {COUNTS}"),
    Attack(
        "a name that forges a line",
        sparse_file(0, "x\nDataset Checksum Passed."),
        r"extra: x\nDataset Checksum Passed.",
    ),
    Attack("a name that moves the cursor", sparse_file(0, "x\x1b[1A"), r"extra: x\x1b[1A"),
    Attack("a name that is no text", sparse_file(0, "x\udcff"), r"extra: x\udcff"),
)
def test_a_hostile_dataset(dataset: Path, capsys: pytest.CaptureFixture[str], attack: Attack) -> None:
    """A second difference is there too: the first does not stop the list."""
    attack.make(dataset)
    (dataset / "zzz").touch()
    capsys.readouterr()
    assert main(["verify", "mini", "--data-dir", str(dataset)]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["WARNING: Dataset Checksum Failed.", attack.message, "extra: zzz"]


def change_reference(**changes: object) -> Callable[[Path], None]:
    def change(pinned: Path) -> None:
        path = pinned / "mini.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


@table(
    Attack("a pipe", lambda pinned: make_pipe(pinned / "mini.json"), r"mini\.json: is no regular file"),
    Attack(
        "a list that is a pipe", lambda pinned: make_pipe(pinned / "mini.files"), r"mini\.files: is no regular file"
    ),
    Attack("a terabyte", sparse_file(1 << 40, "mini.json"), r"mini\.json: has over"),
    Attack("great depth", lambda pinned: (pinned / "mini.json").write_text(100_000 * "["), "damaged reference"),
    Attack("a sum that forges a line", change_reference(sha256="0\nDataset Checksum Passed."), "damaged reference"),
    Attack("a size without bound", change_reference(tar_bytes=10**400), "damaged reference"),
    Attack("an infinite size", change_reference(tar_bytes=float("inf")), "damaged reference"),
    Attack("no number", change_reference(tar_bytes="1"), "damaged reference"),
)
def test_a_hostile_reference(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], attack: Attack) -> None:
    attack.make(tmp_path / "pinned")
    capsys.readouterr()
    refuse(capsys, ["verify", "mini", "--data-dir", str(dataset)], attack.message)


def split_of(**numbers: object) -> str:
    split = {"utterances": 1, "seconds": 1.0, "longest_seconds": 1.0}
    return json.dumps({"dataset": "mini", "train": split | numbers, "val": split, "test": split})


@table(
    Attack("utterances of 400 digits", lambda path: path.write_text(split_of(utterances=10**400)), "damaged"),
    Attack("seconds of 400 digits", lambda path: path.write_text(split_of(seconds=10**400)), "damaged"),
    Attack("seconds of 5000 digits", lambda path: path.write_text("1" * 5000), "damaged"),
    Attack("no number of seconds", lambda path: path.write_text(split_of(seconds=float("nan"))), "damaged"),
    Attack("an utterance of a day", lambda path: path.write_text(split_of(longest_seconds=86_400)), "damaged"),
    Attack("great depth", lambda path: path.write_text(100_000 * "["), "damaged"),
    Attack("a terabyte", large, "has over"),
)
def test_hostile_counts(source: Path, dataset: Path, capsys: pytest.CaptureFixture[str], attack: Attack) -> None:
    """`prepare` asks them whether the dataset may be replaced."""
    attack.make(dataset / COUNTS)
    capsys.readouterr()
    refuse(capsys, ["prepare", str(source), "--data-dir", str(dataset)], rf"counts\.json: {attack.message}")
