"""HTML page on one or more runs: a single file with its charts embedded, which are also written as PNG files."""

import base64
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from speech_recognition.errors import InputError, one_line
from speech_recognition.files import atomic_write
from speech_recognition.mlperf.series import RunResult, series_score
from speech_recognition.report.alignment import Pair, align, confusions
from speech_recognition.report.charts import COLOURS, draw_charts, draw_curves
from speech_recognition.report.phases import PHASES, phases, total_seconds
from speech_recognition.report.record import Record, read_record
from speech_recognition.report.significance import WerDifference, difference
from speech_recognition.runs.folder import RunFolder
from speech_recognition.runtime import distributed
from speech_recognition.runtime.distributed import Launch

_WORST, _CONFUSED = 12, 20  # lengths of the tables of the worst utterances and of the most confused words


@dataclass(frozen=True, kw_only=True)
class Heard:
    """Utterance whose transcript has errors."""

    id: str
    seconds: float
    wer: float
    """Word error rate in percent."""
    pairs: list[Pair]
    """Words of reference and hypothesis, aligned."""


def write_report(folder: Path, records: Sequence[Record]) -> Path:
    """Write `report.html` and, in the folder `charts`, its charts as PNG files; return the path of the page.

    The page compares the other runs with the first. Raises InputError if a link has the name of a file to write.
    """
    page, pictures = RunFolder(folder).page, RunFolder(folder).charts
    for path in (page, pictures, *pictures.glob("*.png")):
        if path.is_symlink():  # a link in a stranger's folder may point to any file of the user
            raise InputError(f"{path}: is a link; remove it, or choose a different --output-dir")
    charts = draw_charts(pictures, records)
    template = _environment().get_template("page.html")
    text = template.render(
        title=records[0].name if len(records) == 1 else f"{len(records)} runs",
        records=records,
        colours=[COLOURS[number % len(COLOURS)] for number in range(len(records))],
        targets=sorted({f"{record.target_wer:g}" for record in records}),
        summaries=[_summary(record) for record in records],
        score=_score(records),
        differences=[(record.name, _difference(records[0], record)) for record in records[1:]],
        charts=[(title, _embedded(pictures / name)) for name, title in charts],
        phases=(PHASES, [phases(record) for record in records]),
        worst=[list(_worst(record)) for record in records],
        confused=[_confused(record) for record in records],
        parameters=_compared([_parameters(record) for record in records]),
        systems=_compared([record.system for record in records]),
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


def _summary(record: Record) -> dict[str, str]:
    """Return the cells of a run in the page's first table, by the heads of its columns."""
    best, seconds = record.best, total_seconds(record)
    return {
        "preset": str(record.parameters["preset"]),
        "seed": "" if record.seed is None else str(record.seed),
        "epochs": "none" if best is None else str(int(record.epochs["epoch"].max())),
        "began": _began(record),
        "seconds": f"{seconds:.0f}",
        "best WER": "" if best is None else f"{best['wer']:.2f}",
        "CER at best WER": "" if best is None else f"{best['cer']:.2f}",
        "target": f"{record.target_wer:g}, {_outcome(record)}",
        "audio s/s": _rate(record),
    }


def _outcome(record: Record) -> str:
    return "reached" if record.reached_target else "not reached" if record.ended else "not ended"


def _began(record: Record) -> str:
    """Return the time of the first run_start, in UTC; "" if no log has one."""
    starts = [log.loc[log["key"] == "run_start", "time_ms"] for log in record.logs]
    first = next((int(each.iloc[0]) for each in starts if len(each)), None)
    return "" if first is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(first / 1000))


def _score(records: Sequence[Record]) -> str:
    """Return the score in seconds that the runs have as a series; "" if their parameters differ or there is none."""
    same = all(record.parameters == records[0].parameters for record in records)
    results = [
        RunResult(
            run=number,
            seed=record.seed or 0,
            status=0 if record.reached_target and not record.violations else 3,
            seconds=total_seconds(record),
        )
        for number, record in enumerate(records)
    ]
    olympic = series_score(results).olympic if same else None
    return "" if olympic is None else f"{olympic:.1f}"


def _rate(record: Record) -> str:
    """Return the mean rate of training in seconds of audio per second; "" if no epoch was trained."""
    if "audio_rate" not in record.epochs or record.epochs["audio_rate"].isna().all():
        return ""
    return f"{record.epochs['audio_rate'].mean():.0f}"


def _difference(first: Record, record: Record) -> WerDifference | None:
    return difference(first.utterances, record.utterances)


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _worst(record: Record) -> Iterator[Heard]:
    """Yield the utterances with the highest WER; of equal rates, those with more words first."""
    table = record.utterances
    if table.empty:
        return
    table = table.assign(wer=100 * table["word_errors"] / table["words"])
    table = table[table["word_errors"] > 0].sort_values(["wer", "words"], ascending=False, kind="stable")
    for row in table.head(_WORST).to_dict("records"):
        pairs = align(row["reference"], row["hypothesis"])
        yield Heard(id=row["utterance_id"], seconds=row["seconds"], wer=row["wer"], pairs=pairs)


def _confused(record: Record) -> dict[str, list[tuple[Pair, int]]]:
    """Return the most frequent pairs of words for each kind of error, with their counts."""
    rows = record.utterances.to_dict("records")
    counts = confusions(pair for row in rows for pair in align(row["reference"], row["hypothesis"]))
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return {
        kind: [entry for entry in ordered if entry[0].kind == kind][:_CONFUSED]
        for kind in ("substitution", "deletion", "insertion")
    }


def _parameters(record: Record) -> dict[str, Any]:
    """Return the parameters, with the dataset from the log: with --data-dir, it is not that of data.dataset."""
    return {"dataset": record.dataset} | {
        name: value for name, value in record.parameters.items() if name != "data.dataset"
    }


def _compared(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str], bool]]:
    """Return a row for each name: the name, its value in each run, and whether the values differ."""
    names = list(dict.fromkeys(name for each in columns for name in each))
    rows = []
    for name in names:
        values = [str(each.get(name, "")) for each in columns]
        rows.append((name, values, len(set(values)) > 1))
    return rows
