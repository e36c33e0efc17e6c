"""The four forms of a manifest: this benchmark's own, and those of three earlier systems.

    csv                 commas, a header of COLUMNS or some of them: audio, and transcript or text, must be there
    mlperf              commas, no header: WAV path, path of its text (the MLPerf reference of 2018)
    tensorflow          tabs, header wav_filename wav_filesize transcript (the TensorFlow model garden)
    deepspeech.pytorch  JSON: root_path, and samples of wav_path and transcript_path (its version 3)

A file is read by its looks. Whatever the form, a row comes back under the names of COLUMNS:
those that the form has.
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

_TENSORFLOW_HEADER = ("wav_filename", "wav_filesize", "transcript")
_TENSORFLOW_COLUMNS = ("audio", "bytes", "transcript")
_MLPERF_COLUMNS = ("audio", "text")

_FIRST_LINE_CHARACTERS = 10_000

_LONGEST_LINE = 1_000_000
"""Characters; a table is read line by line, so that only its longest line takes memory."""

_LONGEST_JSON = 1 << 27
"""Characters; it is held in memory. LibriSpeech's 281,241 utterances have a quarter of this."""

_KNOWN = "a header with the columns audio and transcript, or the form mlperf, tensorflow or deepspeech.pytorch"


@dataclass(frozen=True, slots=True)
class Row:
    """What a manifest says of one utterance, by column; `where` names the place in messages."""

    fields: dict[str, str]
    where: str


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a manifest of any form, in its order.

    Raises InputError, naming the file and the line, if it cannot be read, has none of the
    forms, or a row has another number of fields.
    """
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            read = _reader(file.readline(_FIRST_LINE_CHARACTERS), path)
            file.seek(0)
            yield from read(file, path)
    except OSError as error:
        raise InputError(f"{path}: manifest cannot be read ({error.strerror}); give one that exists") from None
    except InputError:
        raise
    except (ValueError, csv.Error, RecursionError) as error:
        raise InputError(f"{path}: not a manifest in UTF-8 ({error}); make it again or give another") from None


def _reader(first: str, path: Path) -> Callable[[TextIO, Path], Iterator[Row]]:
    """The reader of the form that a file with this first line has."""
    if first.lstrip().startswith("{"):
        return _read_json
    if tuple(first.rstrip("\r\n").split("\t")) == _TENSORFLOW_HEADER:
        return _read_tensorflow
    fields = next(csv.reader([first]), [])
    if "audio" in fields:
        return _read_csv
    if len(fields) == len(_MLPERF_COLUMNS):
        return _read_mlperf
    raise InputError(f"{path}:1: not the beginning of a manifest; it must be {_KNOWN}")


def _read_csv(file: TextIO, path: Path) -> Iterator[Row]:
    header = next(csv.reader(_lines(file, path), strict=True))
    for column in header:
        if column not in COLUMNS or header.count(column) > 1:
            raise InputError(f"{path}:1: column {column!r} is unknown or twice; the columns are {','.join(COLUMNS)}")
    if not {"transcript", "text"} & set(header):
        raise InputError(f"{path}:1: no column transcript, nor text for a path of it; add one")
    file.seek(0)
    return _read_table(file, path, header)


def _read_mlperf(file: TextIO, path: Path) -> Iterator[Row]:
    return _read_table(file, path, _MLPERF_COLUMNS, header=False)


def _read_tensorflow(file: TextIO, path: Path) -> Iterator[Row]:
    return _read_table(file, path, _TENSORFLOW_COLUMNS, delimiter="\t")


def _read_table(
    file: TextIO, path: Path, columns: Sequence[str], delimiter: str = ",", header: bool = True
) -> Iterator[Row]:
    reader = csv.reader(_lines(file, path), delimiter=delimiter, strict=True)
    if header:
        next(reader)
    for values in filter(None, reader):
        where = f"{path}:{reader.line_num}"
        if len(values) != len(columns):
            raise InputError(f"{where}: {len(values)} fields, must be {len(columns)} ({','.join(columns)})")
        yield Row(dict(zip(columns, values, strict=True)), where)


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise InputError(f"{path}:{number}: a line of over {_LONGEST_LINE} characters; correct or remove it")
        yield line


def _read_json(file: TextIO, path: Path) -> Iterator[Row]:
    text = file.read(_LONGEST_JSON + 1)
    if len(text) > _LONGEST_JSON:
        raise InputError(f"{path}: over {_LONGEST_JSON} characters of JSON; use a table, which has no bound")
    content = json.loads(text)
    match content:
        case {"root_path": str() as root, "samples": list() as samples}:
            for index, sample in enumerate(samples):
                yield _read_sample(sample, Path(root), f"{path}: samples[{index}]")
        case _:
            raise InputError(f"{path}: no manifest of deepspeech.pytorch; it must have root_path and samples")


def _read_sample(sample: object, root: Path, where: str) -> Row:
    match sample:
        case {"wav_path": str() as audio, "transcript_path": str() as text}:
            return Row({"audio": str(root / audio), "text": str(root / text)}, where)
    raise InputError(f"{where}: must have wav_path and transcript_path, each a path; correct it")


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
    json.dump({"root_path": str(base), "samples": samples}, file, indent=1)
    file.write("\n")


def _text(row: dict[str, str]) -> str:
    if not row["text"]:
        raise InputError(f"utterance {row['utterance_id']} has no text file, which this form names; use another form")
    return row["text"]


WRITERS = {
    "csv": _write_csv,
    "mlperf": _write_mlperf,
    "tensorflow": _write_tensorflow,
    "deepspeech.pytorch": _write_json,
}
"""Each writes rows of all COLUMNS, whose paths are absolute or relative to the folder that it gets.

The MLPerf and TensorFlow forms get absolute paths: their systems look for relative ones where
they are started. The TensorFlow form has its transcripts in lower case.
"""

SUFFIXES = {
    "csv": ".csv",
    "mlperf": ".mlperf.csv",
    "tensorflow": ".tensorflow.csv",
    "deepspeech.pytorch": ".deepspeech.pytorch.json",
}
"""How the manifest of a split is called in each form, after the split's name."""
