"""The scores of folders as text: a table for a terminal, Markdown, or JSON."""

import json
from collections.abc import Sequence
from typing import Any

from speech_recognition.errors import one_line
from speech_recognition.mlperf.convergence import RUNS
from speech_recognition.mlperf.score import FolderScore, RunScore

_HEAD = ("file", "seed", "minutes", "epochs", "samples", "batch", "WER", "verdict")


def as_table(scores: Sequence[FolderScore]) -> str:
    """Return the scores as aligned columns, with the lines of each folder's score below its runs."""
    blocks = []
    for score in scores:
        rows = [_HEAD, *_rows(score)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
        lines = [_title(score)]
        for row in rows:
            padded = [text.rjust(width) for text, width in zip(row, widths, strict=False)]
            padded[0] = row[0].ljust(widths[0])
            lines.append("  ".join([*padded, row[-1]]))
        lines += [f"{name + ':':14}{text}" for name, text in outcome(score).items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def as_markdown(scores: Sequence[FolderScore]) -> str:
    """Return the scores as Markdown: for each folder a heading, a table of its runs, and a list."""
    blocks = []
    for score in scores:
        head, *rows = (f"| {' | '.join(row)} |" for row in (_HEAD, *_rows(score)))
        lines = [f"## {_title(score)}", "", head, "|---" * len(_HEAD) + "|", *rows, ""]
        lines += [f"- {name}: {text}" for name, text in outcome(score).items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def as_json(scores: Sequence[FolderScore]) -> str:
    """Return the scores as a JSON list with an object for each folder; unknown figures are null."""
    return json.dumps([_folder(score) for score in scores], indent=2)


FORMATS = {"table": as_table, "markdown": as_markdown}
"""The function for each value of `score --format`."""


def _title(score: FolderScore) -> str:
    return one_line(f"{score.folder}: {score.benchmark or 'no benchmark'}, {score.division or 'no'} division")


def _rows(score: FolderScore) -> list[tuple[str, ...]]:
    """Return the cells of each run."""
    return [
        (
            _name(score, run),
            _cell(run.seed),
            _cell(run.minutes, 2),
            _cell(run.epochs),
            _cell(run.samples),
            _cell(run.batch_size),
            _cell(run.wer, 2),
            _verdict(run),
        )
        for run in score.runs
    ]


def _name(score: FolderScore, run: RunScore) -> str:
    return one_line(str(run.path.relative_to(score.folder)))


def _cell(value: float | None, digits: int = 0) -> str:
    """Return a figure with `digits` decimals, a whole number without any by default, or "-" for an unknown one."""
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if digits else f"{value:g}" if isinstance(value, float) else str(value)


def _verdict(run: RunScore) -> str:
    broken = len(run.violations)
    rules = "compliant" if not broken else f"NOT compliant ({broken} violation{'s' if broken > 1 else ''})"
    return f"{rules}, {'reached' if run.reached else 'NOT reached'}"


def outcome(score: FolderScore) -> dict[str, str]:
    """Return the name and the text of each line about the runs of a folder as a whole."""
    good = sum(run.counts for run in score.runs)
    runs = f"{good} of {len(score.runs)} are compliant and reached the target"
    lines = {"runs": runs if len(score.runs) == RUNS else f"{runs}; a submission has {RUNS}"}
    spread = "" if score.spread is None else f", standard deviation {score.spread:.2f}"
    if score.olympic is None:
        lines["olympic mean"] = "none; it needs three runs, of which at most one fails"
    else:
        lines["olympic mean"] = f"{score.olympic:.2f} minutes without the fastest and the slowest{spread}"
    verdict = score.convergence
    if verdict is None:
        lines["convergence"] = f"not checked: {one_line(score.unchecked)}"
    else:
        lines["convergence"] = f"{'passed' if verdict.passed else 'REFUSED'}: {verdict.message}"
    if score.minutes is not None:
        lines["score"] = f"{score.minutes:.2f} minutes, the olympic mean times {score.factor:.4f}"
    return lines


def _folder(score: FolderScore) -> dict[str, Any]:
    """Return the object of a folder in the JSON form."""
    verdict = score.convergence
    return {
        "folder": str(score.folder),
        "benchmark": score.benchmark,
        "division": score.division,
        "runs": [
            {
                "file": str(run.path.relative_to(score.folder)),
                "seed": run.seed,
                "minutes": run.minutes,
                "epochs": run.epochs,
                "samples": run.samples,
                "global_batch_size": run.batch_size,
                "wer": run.wer,
                "reached": run.reached,
                "violations": [str(violation) for violation in run.violations],
            }
            for run in score.runs
        ],
        "olympic_minutes": score.olympic,
        "spread_minutes": score.spread,
        "convergence": {
            "passed": None if verdict is None else verdict.passed,
            "message": score.unchecked if verdict is None else verdict.message,
        },
        "scaling_factor": score.factor,
        "score_minutes": score.minutes,
    }
