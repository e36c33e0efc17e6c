"""The transcripts of val in a run's best epoch: the worst utterances, and the words that are confused most often."""

from collections.abc import Sequence
from dataclasses import dataclass

from speech_recognition.report.alignment import Pair, align, confusions
from speech_recognition.report.listening import Listening
from speech_recognition.report.record import Record

_WORST, _CONFUSED = 12, 12  # lengths of the list of the worst utterances and of each table of confused words


@dataclass(frozen=True, kw_only=True)
class Heard:
    """Utterance whose transcript has errors."""

    id: str
    seconds: float
    wer: float
    """Word error rate in percent."""
    pairs: list[Pair]
    """Words of reference and hypothesis, aligned."""
    audio: str
    """Its recording as a data URI; "" if the page has none."""


def worst(record: Record, listening: Listening) -> list[Heard]:
    """Return the utterances with the highest WER; of equal rates, those with more words first."""
    table = record.utterances
    if table.empty:
        return []
    table = table.assign(wer=100 * table["word_errors"] / table["words"])
    table = table[table["word_errors"] > 0].sort_values(["wer", "words"], ascending=False, kind="stable").head(_WORST)
    recordings = listening.recordings(record, table)
    return [
        Heard(
            id=row["utterance_id"],
            seconds=row["seconds"],
            wer=row["wer"],
            pairs=align(row["reference"], row["hypothesis"]),
            audio=recordings.get(row["utterance_id"], ""),
        )
        for row in table.to_dict("records")
    ]


def about_recordings(heard: Sequence[Heard]) -> str:
    """Return a sentence on recordings that the page does not have; "" if it has all."""
    if all(each.audio for each in heard):
        return ""
    if any(each.audio for each in heard):
        return "Recordings that have moved or would make the page too large are left out."
    return "The recordings are not where the run read them, so the page cannot play them."


def confused(record: Record) -> dict[str, list[tuple[Pair, int]]]:
    """Return the most frequent pairs of words for each kind of error, with their counts."""
    rows = record.utterances.to_dict("records")
    counts = confusions(pair for row in rows for pair in align(row["reference"], row["hypothesis"]))
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return {
        kind: [entry for entry in ordered if entry[0].kind == kind][:_CONFUSED]
        for kind in ("substitution", "deletion", "insertion")
    }
