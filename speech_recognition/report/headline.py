"""The top of the page: what was reached, the figures of the four cards, and the machine that ran."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from speech_recognition.durations import duration
from speech_recognition.errors import ExitStatus
from speech_recognition.mlperf.series import RunResult, series_score
from speech_recognition.report.phases import total_seconds
from speech_recognition.report.record import Record

Records = Sequence[Record]

_COMMIT = re.compile(r"commit ([0-9a-f]{7,64})(-dirty)?")
_LONG_DIGEST = re.compile(r"(SHA-256 [0-9a-f]{12})[0-9a-f]{52}")


class Card(NamedTuple):
    """Figure in large letters."""

    name: str
    value: str
    note: str
    """What the figure is compared with, or its unit."""
    good: bool | None = None
    """Whether the figure is a success; None if it is neither success nor failure."""


def title(records: Records) -> str:
    """Return what the runs reached, in one line."""
    presets = dict.fromkeys(str(record.parameters["preset"]) for record in records)
    model = f"DeepSpeech2 {', '.join(presets)}"
    if len(records) == 1:
        return f"{model}: {outcome(records[0])}"
    reached = sum(record.reached_target for record in records)
    share = {0: "none", len(records): "all"}.get(reached, f"{reached} of {len(records)}")
    return f"{len(records)} runs of {model}: {share} reached the target"


def outcome(record: Record) -> str:
    """Return whether a run reached its target, its WER, epochs and time, as far as they are known."""
    verdict = "target reached" if record.reached_target else "target missed" if record.ended else "not ended"
    if record.best is None:
        return f"{verdict}, no evaluation"
    best = "" if record.reached_target else "best "
    parts = [verdict, f"{best}WER {record.best['wer']:.2f} after {_epochs(record.last_epoch or 0)}"]
    return ", ".join(parts + ([duration(total_seconds(record))] if record.ended else []))


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' * (count != 1)}"


def cards(records: Records) -> list[Card]:
    """Return time, WER, epochs and throughput; those of several runs are ranges."""
    return [_time(records), _wer(records), _epoch_count(records), _throughput(records)]


def _time(records: Records) -> Card:
    seconds = [total_seconds(record) for record in records if record.ended]
    if len(seconds) <= 1:
        return Card("Time", _range(seconds, duration), "run_start to run_stop" if seconds else "the run has not ended")
    return Card("Time", _range(seconds, duration), f"mean {duration(sum(seconds) / len(seconds))}")


def _wer(records: Records) -> Card:
    best = [record.best["wer"] for record in records if record.best is not None]
    reached = sum(record.reached_target for record in records)
    target = " or ".join(sorted({f"{record.target_wer:g}" for record in records}))
    if len(records) > 1:
        return Card("WER", _range(best), f"target {target}: {reached} of {len(records)} runs", reached == len(records))
    if not records[0].ended:
        return Card("WER", _range(best), f"target {target}: not ended")
    return Card("WER", _range(best), f"target {target}: {'reached' if reached else 'missed'}", bool(reached))


def _epoch_count(records: Records) -> Card:
    counts = [record.last_epoch for record in records if record.last_epoch is not None]
    most = " or ".join(dict.fromkeys(str(record.parameters["training.epochs"]) for record in records))
    mean = f"mean {sum(counts) / len(counts):.1f}, " if len(counts) > 1 else ""
    return Card("Epochs", _range(counts, str), f"{mean}at most {most}")


def _throughput(records: Records) -> Card:
    rates = [record.audio_rate for record in records if record.audio_rate is not None]
    return Card("Throughput", _range(rates, "{:.0f}".format), "seconds of audio per second")


def _range(values: Sequence[float], text: Callable[[Any], str] = "{:.2f}".format) -> str:
    """Return the lowest and the highest value, or one if they are equal; "none" without values."""
    ends = dict.fromkeys(text(value) for value in (min(values), max(values))) if values else {"none": None}
    return " to ".join(ends)


def facts(records: Records) -> dict[str, str]:
    """Return what a reader asks first about the runs' machines and data; values that differ stand side by side."""
    columns: dict[str, Callable[[Record], str]] = {
        "Hardware": lambda record: hardware(record.system),
        "Precision": lambda record: str(record.parameters["model.precision"]),
        "Software": lambda record: record.system.get("framework", ""),
        "Commit": lambda record: commit(record.system),
        "Dataset": lambda record: _LONG_DIGEST.sub(r"\1...", record.dataset),
    }
    found = {name: list(dict.fromkeys(filter(None, map(column, records)))) for name, column in columns.items()}
    return {name: "; ".join(values) for name, values in found.items() if values}


def hardware(system: dict[str, str]) -> str:
    """Return the accelerators, or else the processors, with the memory and the number of machines."""
    if not system:
        return ""
    if system.get("accelerators_per_node", "0") in ("", "0", "N/A"):
        kind, count, cores = "host_processor", system.get("host_processors_per_node", ""), "host_processor_core_count"
        parts = [system.get(f"{kind}_model_name", ""), f"{system[cores]} cores" if system.get(cores) else ""]
        memory = system.get("host_memory_capacity", "")
    else:
        count = system["accelerators_per_node"]
        parts = [system.get("accelerator_model_name", "")]
        memory = system.get("accelerator_memory_capacity", "")
    parts[0] = parts[0] if count in ("", "1") else f"{count} x {parts[0]}"
    parts += [f"{memory} of memory" if memory else ""]
    nodes = system.get("number_of_nodes", "1")
    text = ", ".join(filter(None, parts))
    return text if nodes in ("", "1") else f"{nodes} machines, each with {text}"


def commit(system: dict[str, str]) -> str:
    """Return the commit that ran, shortened, and whether files differed from it."""
    found = _COMMIT.search(system.get("sw_notes", ""))
    return f"{found[1][:12]}{' with changes' if found[2] else ''}" if found else ""


def target(record: Record) -> str:
    """Return the target WER of a run, and whether it was reached."""
    return f"{record.target_wer:g} {'reached' if record.reached_target else 'missed' if record.ended else 'not ended'}"


def began(record: Record) -> str:
    """Return the time of the first run_start, in UTC; "" if no log has one."""
    starts = [log.loc[log["key"] == "run_start", "time_ms"] for log in record.logs]
    first = next((int(each.iloc[0]) for each in starts if len(each)), None)
    return "" if first is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(first / 1000))


def score(records: Records) -> str:
    """Return the score in seconds that the runs have as a series; "" if their parameters differ or there is none."""
    same = all(record.parameters == records[0].parameters for record in records)
    results = [
        RunResult(
            run=number,
            seed=record.seed or 0,
            status=ExitStatus.DONE if record.reached_target and not record.violations else ExitStatus.TARGET_MISSED,
            seconds=total_seconds(record),
        )
        for number, record in enumerate(records)
    ]
    olympic = series_score(results).olympic if same else None
    return "" if olympic is None else f"{olympic:.1f}"
