"""HTML page on one or more runs: a single file with its charts embedded, which are also written as SVG files."""

import os
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jinja2

from speech_recognition.durations import duration
from speech_recognition.errors import InputError, one_line
from speech_recognition.files import atomic_write
from speech_recognition.report import comparison, headline, transcripts
from speech_recognition.report.canvas import COLOURS
from speech_recognition.report.charts import draw_charts, draw_curves
from speech_recognition.report.listening import Listening
from speech_recognition.report.phases import PHASES, phases, total_seconds
from speech_recognition.report.record import Record, read_record
from speech_recognition.report.significance import difference
from speech_recognition.runs.folder import RunFolder
from speech_recognition.runtime import distributed
from speech_recognition.runtime.distributed import Launch


def write_report(folder: Path, records: Sequence[Record]) -> Path:
    """Write `report.html` and, in the folder `charts`, its charts as SVG files; return the path of the page.

    The page compares the other runs with the first. Raises InputError if a link has the name of a file to write.
    """
    page, pictures = RunFolder(folder).page, RunFolder(folder).charts
    for path in (page, pictures, *pictures.glob("*.svg")):
        if path.is_symlink():  # a link in a stranger's folder may point to any file of the user
            raise InputError(f"{path}: is a link; remove it, or choose a different --output-dir")
    charts = draw_charts(pictures, records)
    listening = Listening()
    text = (
        _environment()
        .get_template("page.html")
        .render(
            title=headline.title(records),
            cards=headline.cards(records),
            facts=headline.facts(records),
            records=records,
            runs=[_run(record, number, folder) for number, record in enumerate(records)],
            score=headline.score(records),
            differences=[(record, difference(records[0].utterances, record.utterances)) for record in records[1:]],
            charts=[(title, _embedded(pictures / name)) for name, title in charts],
            phases=(PHASES, [phases(record) for record in records]),
            worst=[transcripts.worst(record, listening) for record in records],
            about_recordings=transcripts.about_recordings,
            confused=[transcripts.confused(record) for record in records],
            tables={"Parameters": comparison.parameters(records), "System": comparison.systems(records)},
        )
    )
    with atomic_write(page) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return page


@contextmanager
def own_report(folder: Path, launch: Launch) -> Iterator[None]:
    """Write the page and the `curves.png` of the run in the block into `folder`, when the block has ended.

    Nothing is written before the first evaluation, nor after a failure for which torchrun restarts the run. The other
    processes wait until the first has written the page, because torchrun ends all processes as soon as one exits
    with a status other than 0.
    """
    try:
        yield
    except BaseException:
        if launch.ends_the_run:
            _write_own_report(folder)
        raise
    _write_own_report(folder)
    distributed.barrier()


def _write_own_report(folder: Path) -> None:
    """Write the page and the curves in the first process; a failure becomes a warning."""
    if not distributed.is_first() or not RunFolder(folder).metrics.is_file():
        return
    try:
        record = read_record(folder)
        draw_curves(RunFolder(folder).curves, record)
        write_report(folder, [record])
    except Exception as error:  # a failed report must not fail the run
        print(f"warning: no report: {one_line(str(error))}", file=sys.stderr)


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _run(record: Record, number: int, page_folder: Path) -> dict[str, object]:
    """Return what the page says about one run beside its figures."""
    best = record.best
    return {
        "number": number + 1,
        "colour": f"--run{number % len(COLOURS)}",
        "name": record.name,
        "links": _links(record, page_folder),
        "cells": {
            "WER": "" if best is None else f"{best['wer']:.2f}",
            "CER": "" if best is None else f"{best['cer']:.2f}",
            "epochs": "" if best is None else str(record.last_epoch),
            "time": duration(total_seconds(record)),
            "audio s/s": "" if record.audio_rate is None else f"{record.audio_rate:.0f}",
        },
        "origin": {
            "seed": "" if record.seed is None else str(record.seed),
            "preset": str(record.parameters["preset"]),
            "began": headline.began(record),
        },
        "target": headline.target(record),
    }


def _links(record: Record, page_folder: Path) -> dict[str, str]:
    """Return the addresses of the run's logs and tables, relative to the page, by the files' names."""
    run = RunFolder(record.folder)
    files = [*run.logs(), run.metrics, run.steps, run.utterances, run.params, run.system, run.command]
    there = Path(os.path.relpath(record.folder.absolute(), page_folder.absolute()))
    # The dot and the quoted colon keep a folder called javascript:... from being the address of a script.
    return {each.name: f"./{urllib.parse.quote(os.fsencode(there / each.name))}" for each in files if each.is_file()}


def _embedded(path: Path) -> str:
    """Return the chart in a file without the header that only a file has."""
    text = path.read_text(encoding="utf-8")
    return text[text.index("<svg") :]
