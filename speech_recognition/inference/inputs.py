"""The recordings that a user names: files, folders, patterns, manifests and standard input."""

import glob
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import soundfile

from speech_recognition.alphabet import unknown_symbols
from speech_recognition.corpus.manifest import check_id
from speech_recognition.corpus.manifest_forms import is_manifest
from speech_recognition.corpus.recordings import read_sources
from speech_recognition.errors import InputError
from speech_recognition.files import read_regular

STANDARD_INPUT = "-"
"""Name of standard input among the arguments."""

_SUFFIXES = frozenset(f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW") | {
    ".aif",
    ".aifc",
    ".oga",
    ".opus",
    ".sph",
}
"""Suffixes of the files in a folder that are taken for recordings."""

_LARGEST_TEXT = 1_000_000
"""Most bytes of a file of transcripts."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One recording to transcribe."""

    name: str
    """Name in the output: the path as it was given, or the id in a manifest."""
    path: Path
    """Path of the recording."""
    stem: Path
    """Path of its output files without their suffix, relative to the folder for output."""
    reference: str | None
    """Transcript in capitals; None if none is known."""


def find_inputs(arguments: Sequence[str], standard_input: Path | None = None) -> list[Input]:
    """Return the recordings that `arguments` name, in their order; those of a folder or a pattern sorted by path.

    `standard_input` is the file into which standard input was copied. A file that does not exist is among them, so that
    it fails alone, unless none exists. Raises InputError for that, for a pattern that matches nothing, a folder without
    recordings, and a manifest that cannot be read or names a recording that does not exist.
    """
    beside = _Beside()
    found = [each for argument in arguments for each in _named(argument, standard_input, beside)]
    if not any(each.path.exists() for each in found):
        raise InputError(f"{found[0].name}: no such file or folder; correct the name")
    return found


def _named(argument: str, standard_input: Path | None, beside: "_Beside") -> Iterator[Input]:
    """Yield the recordings that one argument names."""
    path = Path(argument)
    if argument == STANDARD_INPUT and standard_input:
        yield Input(name=argument, path=standard_input, stem=Path("standard_input"), reference=None)
    elif path.is_dir():
        files = sorted(each for each in path.rglob("[!.]*") if each.suffix.lower() in _SUFFIXES and each.is_file())
        if not files:
            raise InputError(f"{argument}: no recordings in this folder or below; name a folder that has some")
        yield from (_file(each, each.relative_to(path).with_suffix(""), beside) for each in files)
    elif path.exists() and is_manifest(path):
        yield from _rows(path)
    elif path.exists() or not glob.has_magic(argument):
        yield _file(path, Path(path.stem), beside)
    else:
        files = sorted(each for each in map(Path, glob.glob(argument, recursive=True)) if each.is_file())
        if not files:
            raise InputError(f"{argument}: matches no file; correct the pattern")
        yield from (_file(each, Path(each.stem), beside) for each in files)


def _file(path: Path, stem: Path, beside: "_Beside") -> Input:
    return Input(name=str(path), path=path, stem=stem, reference=beside.transcript(path))


def _rows(manifest: Path) -> Iterator[Input]:
    """Yield the recordings of a manifest. Raises InputError as `read_sources` does, and for a bad id."""
    for source in read_sources(manifest):
        check_id(source.id, source.where)
        yield Input(name=source.id, path=source.audio, stem=Path(source.id), reference=comparable(source.transcript))


class _Beside:
    """Transcripts that lie beside recordings; a folder's file of transcripts is read once."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, str]] = {}

    def transcript(self, recording: Path) -> str | None:
        """Return the comparable transcript of a recording, or None.

        It is looked for in a text file of the same name beside it, in a folder `txt` beside its folder `wav` (the
        processed dataset), and in a file *.trans.txt of its folder (LibriSpeech).
        """
        candidates = [recording.with_suffix(".txt")]
        if recording.parent.name == "wav":
            candidates.append(recording.parent.parent / "txt" / f"{recording.stem}.txt")
        for path in candidates:
            if path.is_file():
                return comparable(_read(path))
        folder = recording.parent
        if folder not in self._folders:
            lines = [line for path in sorted(folder.glob("*.trans.txt")) for line in _read(path).splitlines()]
            self._folders[folder] = dict(line.split(maxsplit=1) for line in lines if len(line.split()) > 1)
        line = self._folders[folder].get(recording.stem)
        return None if line is None else comparable(line)


def _read(path: Path) -> str:
    """Return the content of a text file beside a recording, or "" if it cannot be read: it may be anything."""
    try:
        return read_regular(path, _LARGEST_TEXT).decode("utf-8-sig")
    except (OSError, ValueError):
        return ""


def comparable(text: str) -> str | None:
    """Return the words of a transcript as the model would write them, or None if it cannot, as with digits."""
    text = text.upper().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    kept = "".join(each if each == "'" or not unicodedata.category(each).startswith("P") else " " for each in text)
    words = " ".join(kept.split())
    return words if words and not unknown_symbols(words) else None


def check_outputs(inputs: Sequence[Input], folder: Path, formats: Sequence[str]) -> None:
    """Raise InputError if two recordings would have the same output file.

    Raise it too if an output file would replace a text beside its recording, which may be its transcript.
    """
    owners: dict[Path, Input] = {}
    for each in inputs:
        other = owners.setdefault(each.stem, each)
        if other is not each:
            raise InputError(
                f"{each.name}: its output would replace that of {other.name}; transcribe them into different folders"
            )
        text = (folder / each.stem).with_name(f"{each.stem.name}.txt")
        if "txt" in formats and text.exists() and text.absolute() == each.path.absolute().with_suffix(".txt"):
            raise InputError(
                f"{text}: would be overwritten, and may be the transcript of {each.name}; add --skip-existing, or"
                " choose a different --output-dir"
            )


@contextmanager
def copied_standard_input() -> Iterator[Path]:
    """Yield the path of a temporary file that holds standard input: libsndfile has to seek in a recording.

    Raises InputError if standard input is a terminal.
    """
    if sys.stdin.isatty():
        raise InputError("-: standard input is a terminal; pipe a recording into the command")
    with tempfile.NamedTemporaryFile(prefix="standard_input.") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield Path(file.name)
