"""The four forms of a manifest: this benchmark's own, and those of three earlier systems.

    csv                 commas, a header with some of COLUMNS: audio, and transcript or text, are required
    mlperf              commas, no header: path of the WAV file, path of its text file (the MLPerf reference of 2018)
    tensorflow          tabs, header wav_filename wav_filesize transcript (the TensorFlow model garden)
    deepspeech.pytorch  JSON: root_path, and samples of wav_path and transcript_path (its version 3)

The first line of a file tells its form. Rows of every form use the names in COLUMNS, for
the columns that the form has.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from speech_recognition.errors import InputError
from speech_recognition.files import open_regular

COLUMNS = ("utterance_id", "audio", "text", "transcript", "seconds", "samples", "speaker", "subset", "bytes")
"""Columns of the form csv, which name the fields of a row in every form. The size in `bytes` is the audio file's."""

_TENSORFLOW_HEADER = ("wav_filename", "wav_filesize", "transcript")
_TENSORFLOW_COLUMNS = ("audio", "bytes", "transcript")
_MLPERF_COLUMNS = ("audio", "text")
"""Columns of the two other tables, in the order of their fields, under the names in COLUMNS."""

_FILE_SUFFIXES = (".csv", ".tsv", ".json")
"""Suffixes by which a command tells a manifest from a recording or a text."""

_FIRST_LINE_CHARACTERS = 10_000
"""Characters that are read to recognise the form: JSON may be a single line of many megabytes."""

_LONGEST_LINE = 1_000_000
"""Most characters in a line of a table. Tables are read line by line, so that only one line is held in memory."""

_LONGEST_JSON = 1 << 27
"""Most characters of a JSON manifest, which is held in memory. LibriSpeech's 281,241 utterances take a quarter."""

_KNOWN = "a header with the columns audio and transcript, or the form mlperf, tensorflow or deepspeech.pytorch"
"""What the first line of a manifest may be, for the message that refuses a different one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance as it stands in a manifest of any form."""

    fields: dict[str, str]
    """Fields as text, by their name in COLUMNS."""
    where: str
    """The manifest and the line, for messages."""


def is_manifest(path: Path) -> bool:
    """Return whether a file's name says that it is a manifest of any form."""
    return path.suffix.lower() in _FILE_SUFFIXES


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a manifest of any form, in the order of the file.

    Raises InputError, naming the file and the line, if the file cannot be read, has none of the
    forms, or has a row with the wrong number of fields.
    """
    try:
        # utf-8-sig, because spreadsheets on Windows begin a CSV file with a byte order mark.
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            read = _reader(file.readline(_FIRST_LINE_CHARACTERS), path)
            file.seek(0)  # resets the decoder too, which then skips a byte order mark again
            yield from read(file, path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a manifest that can be read") from None
    except InputError:  # a ValueError too, but its message is complete
        raise
    except (ValueError, csv.Error, RecursionError) as error:
        raise InputError(
            f"{path}: not a manifest in UTF-8 ({error}); write it again or give a different file"
        ) from None


def _reader(first: str, path: Path) -> Callable[[TextIO, Path], Iterator[Row]]:
    """Return the reader for the form that a manifest's first line shows."""
    if first.lstrip().startswith("{"):
        return _read_json
    if tuple(first.rstrip("\r\n").split("\t")) == _TENSORFLOW_HEADER:
        return _read_tensorflow
    fields = next(csv.reader([first]), [])
    if "audio" in fields:
        return _read_csv
    # Last, as this form has no header: any two fields are a row of it.
    if len(fields) == len(_MLPERF_COLUMNS):
        return _read_mlperf
    raise InputError(f"{path}:1: not the first line of a manifest; it must be {_KNOWN}")


def _read_csv(file: TextIO, path: Path) -> Iterator[Row]:
    """Return the rows of the form csv. Raises InputError for a header with unknown, repeated or missing columns."""
    header = next(csv.reader(_lines(file, path), strict=True))
    for column in header:
        if column not in COLUMNS or header.count(column) > 1:
            raise InputError(f"{path}:1: column {column!r} is unknown or repeated; the columns are {','.join(COLUMNS)}")
    if not {"transcript", "text"} & set(header):
        raise InputError(f"{path}:1: no column transcript, and no column text (path of a text file); add one of them")
    file.seek(0)
    return _read_table(file, path, header)


def _read_mlperf(file: TextIO, path: Path) -> Iterator[Row]:
    return _read_table(file, path, _MLPERF_COLUMNS, header=False)


def _read_tensorflow(file: TextIO, path: Path) -> Iterator[Row]:
    return _read_table(file, path, _TENSORFLOW_COLUMNS, delimiter="\t")


def _read_table(
    file: TextIO, path: Path, columns: Sequence[str], delimiter: str = ",", header: bool = True
) -> Iterator[Row]:
    """Yield the rows of a table. Raises InputError, naming the line, for a row with the wrong number of fields."""
    # strict: without it, a quote that is never closed would swallow all lines after it in silence.
    reader = csv.reader(_lines(file, path), delimiter=delimiter, strict=True)
    if header:
        next(reader)
    for values in filter(None, reader):  # an empty line has no values
        where = f"{path}:{reader.line_num}"
        if len(values) != len(columns):
            raise InputError(f"{where}: {len(values)} fields, must be {len(columns)} ({','.join(columns)}); correct it")
        yield Row(dict(zip(columns, values, strict=True)), where)


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines of a table. Raises InputError before a long line fills the memory."""
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise InputError(f"{path}:{number}: a line of more than {_LONGEST_LINE} characters; correct or remove it")
        yield line


def _read_json(file: TextIO, path: Path) -> Iterator[Row]:
    text = file.read(_LONGEST_JSON + 1)
    if len(text) > _LONGEST_JSON:
        raise InputError(f"{path}: more than {_LONGEST_JSON} characters of JSON; use a table, whose size has no limit")
    content = json.loads(text)
    match content:
        case {"root_path": str() as root, "samples": list() as samples}:
            for index, sample in enumerate(samples):
                yield _read_sample(sample, Path(root), f"{path}: samples[{index}]")
        case _:
            raise InputError(f"{path}: not a manifest of deepspeech.pytorch; it must have root_path and samples")


def _read_sample(sample: object, root: Path, where: str) -> Row:
    match sample:
        case {"wav_path": str() as audio, "transcript_path": str() as text}:
            return Row({"audio": str(root / audio), "text": str(root / text)}, where)
    raise InputError(f"{where}: must have wav_path and transcript_path, both strings; correct it")


def _write_csv(file: TextIO, rows: Iterable[dict[str, str]], _: Path) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([row[column] for column in COLUMNS] for row in rows)


def _write_mlperf(file: TextIO, rows: Iterable[dict[str, str]], base: Path) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows((base / row["audio"], base / _text(row)) for row in rows)


def _write_tensorflow(file: TextIO, rows: Iterable[dict[str, str]], base: Path) -> None:
    writer = csv.writer(file, delimiter="\t", lineterminator="\n")
    writer.writerow(_TENSORFLOW_HEADER)
    writer.writerows((base / row["audio"], row["bytes"], row["transcript"].lower()) for row in rows)


def _write_json(file: TextIO, rows: Iterable[dict[str, str]], base: Path) -> None:
    samples = [{"wav_path": row["audio"], "transcript_path": _text(row)} for row in rows]
    # After a dataset has moved, only root_path has to be changed; the two tables above have absolute paths in each row.
    json.dump({"root_path": str(base), "samples": samples}, file, indent=1)
    file.write("\n")


def _text(row: dict[str, str]) -> str:
    """Return the path of a row's text file. Raises InputError if there is none."""
    if not row["text"]:
        raise InputError(
            f"utterance {row['utterance_id']} has no text file, which this form requires; use a different form"
        )
    return row["text"]


WRITERS = {
    "csv": _write_csv,
    "mlperf": _write_mlperf,
    "tensorflow": _write_tensorflow,
    "deepspeech.pytorch": _write_json,
}
"""Functions that write rows in each form, from rows of all COLUMNS and the folder that relative paths start from.

The MLPerf and TensorFlow forms are written with absolute paths, because those systems resolve
relative ones against the folder in which they are started. TensorFlow's transcripts are lower case.
"""

SUFFIXES = {
    "csv": ".csv",
    "mlperf": ".mlperf.csv",
    "tensorflow": ".tensorflow.csv",
    "deepspeech.pytorch": ".deepspeech.pytorch.json",
}
"""Suffix of a split's manifest in each form: train.csv, train.mlperf.csv and so on."""
