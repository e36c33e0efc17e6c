"""Word times and confidence of trained models, against the word events of the synthesiser that spoke `mini`'s corpus.

    python benchmarks/word_times.py CHECKPOINT... [--data-dir mini_dataset]

The val and test sets are spoken again, in a process of its own, this time for the moments at which the synthesiser
begins a word. For each model the script prints the constant that makes the median error of the beginnings zero on val:
FURTHER in `speech_recognition/inference/timing.py` is such a constant. With the one that stands there, it prints for
the right words of both sets

- the lag of the peaks that a single constant for the model would have to be, and the error that remained;
- the error of the beginnings and of the ends in milliseconds, median and 90th percentile of absolute values;
- the area under the curve of confidence, for right against wrong words, beside that of the geometric mean of the
  symbols' peaks;
- how many words of a confidence are right, in five classes.

It exits with status 1 if, on test, the error of the beginnings is above 40 ms in the median or 100 ms in the 90th
percentile, or the area below 0.85.
"""

import argparse
import ctypes
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import Levenshtein  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from speech_recognition import alphabet  # noqa: E402
from speech_recognition.batches import collate  # noqa: E402
from speech_recognition.corpus.audio import read_pcm  # noqa: E402
from speech_recognition.corpus.manifest import read_manifest  # noqa: E402
from speech_recognition.corpus.mini import espeak  # noqa: E402
from speech_recognition.corpus.mini.plan import PlannedUtterance, planned_utterances  # noqa: E402
from speech_recognition.inference.loading import load  # noqa: E402
from speech_recognition.inference.segments import levels, sounds, speech  # noqa: E402
from speech_recognition.inference.timing import FURTHER, placed  # noqa: E402
from speech_recognition.inference.words import Word, clock_of, read_words  # noqa: E402
from speech_recognition.recognizer import AnyRecognizer  # noqa: E402

MOST_MEDIAN, MOST_P90, LEAST_AREA = 40.0, 100.0, 0.85
"""Bars: milliseconds of the beginnings' error, and the area under the curve of confidence."""


class Spoken(NamedTuple):
    """One word as the synthesiser spoke it, in seconds from the beginning of the recording."""

    word: str
    start: float
    end: float


@dataclass
class Heard:
    """One recognised word: what the model says of it, and what was spoken."""

    word: Word
    first_peak: float
    """seconds"""
    peaks: float
    """geometric mean of its symbols' probabilities"""
    spoken: Spoken | None
    """None if the word is wrong"""


class Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng/speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


LAST_EVENT, WORD_EVENT = 0, 1


def serve() -> None:
    """Answer each job on standard input with the samples at which its words begin, and the number of all samples."""
    import espeakng_loader

    paths = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    for line in sys.stdin:
        starts: list[int] = []

        def receive(address: int | None, starts: list[int] = starts) -> None:
            events = ctypes.cast(address, ctypes.POINTER(Event))
            index = 0
            while address and events[index].type != LAST_EVENT:
                if events[index].type == WORD_EVENT:
                    starts.append(events[index].sample)
                index += 1

        samples = len(espeak.say(espeak.Speech(**json.loads(line)), *paths, receive)) // 2
        print(json.dumps([starts, samples]), flush=True)


def speak(utterances: Sequence[PlannedUtterance]) -> dict[str, list[Spoken]]:
    """Return the words of each utterance by its id. They are spoken in a process of its own: the library is GPL."""
    jobs = [
        json.dumps(asdict(espeak.Speech(each.speaker.voice, each.speaker.rate, each.speaker.pitch, phrase.lower())))
        for each in utterances
        for phrase in each.phrases
    ]
    command = [sys.executable, __file__, "--worker"]
    replies = subprocess.run(command, input="\n".join(jobs), stdout=subprocess.PIPE, text=True, check=True).stdout
    phrases = iter(map(json.loads, replies.splitlines()))
    return {each.utterance_id: list(_place(each, phrases)) for each in utterances}


def _place(utterance: PlannedUtterance, phrases: Iterator[tuple[list[int], int]]) -> Iterator[Spoken]:
    """Yield the words of an utterance, whose phrases lie between its silences (corpus/mini/synthesize.py)."""
    at = utterance.silences[0] / 1000
    for phrase, silence in zip(utterance.phrases, utterance.silences[1:], strict=True):
        starts, samples = next(phrases)
        edges = [at + each / espeak.ESPEAK_RATE for each in (*starts, samples)]
        for word, start, end in zip(phrase.split(), edges[:-1], edges[1:], strict=True):
            yield Spoken(word, start, end)
        at = edges[-1] + silence / 1000


@torch.inference_mode()
def hear(recognizer: AnyRecognizer, manifest: Path, spoken: dict[str, list[Spoken]]) -> list[Heard]:
    """Return the recognised words of all utterances of a manifest."""
    clock, nothing = clock_of(recognizer.params), torch.zeros(0, dtype=torch.int64)
    heard = []
    for utterance in read_manifest(manifest):
        samples = read_pcm(utterance.audio)
        log_probs, lengths = recognizer.log_probs(collate([(0, torch.from_numpy(samples), nothing)]))
        log_probs = log_probs[: lengths[0], 0].cpu()
        peaks = read_words(log_probs, log_probs.argmax(1).tolist(), clock)
        words = placed(peaks, sounds(speech(levels([samples]))), utterance.seconds)
        right = _right([each.word for each in words], spoken[utterance.id])
        columns = (words, [each.start for each in peaks], _peaks(log_probs), right)
        heard += [Heard(*row) for row in zip(*columns, strict=True)]
    return heard


def _right(words: Sequence[str], spoken: Sequence[Spoken]) -> list[Spoken | None]:
    """Return the spoken word behind each of `words`, None for one that is wrong."""
    right: list[Spoken | None] = [None] * len(words)
    for kind, first, end, start, _ in Levenshtein.opcodes([each.word for each in spoken], list(words)):
        if kind == "equal":
            right[start : start + end - first] = spoken[first:end]
    return right


def _peaks(log_probs: torch.Tensor) -> list[float]:
    """Return the geometric mean of the peaks of each word's symbols, for log_probs [t, symbol]."""
    found: list[list[float]] = [[]]
    values, ids = (each.tolist() for each in log_probs.max(1))
    for index, (value, symbol) in enumerate(zip(values, ids, strict=True)):
        if symbol == alphabet.encode(" ")[0]:
            found.append([])
        elif symbol != alphabet.BLANK and index and symbol == ids[index - 1]:
            found[-1][-1] = max(found[-1][-1], value)
        elif symbol != alphabet.BLANK:
            found[-1].append(value)
    return [math.exp(sum(each) / len(each)) for each in found if each]


def area(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Return the share of pairs of a right and a wrong word in which the right one has the higher score."""
    good, bad = (
        np.array([score for score, each in zip(scores, right, strict=True) if each == kind]) for kind in (1, 0)
    )
    return float(((good[:, None] > bad).mean() + (good[:, None] >= bad).mean()) / 2)


def report(name: str, heard: Sequence[Heard]) -> bool:
    """Print the figures of one set; return whether they meet the bars."""
    right = [each.spoken is not None for each in heard]
    pairs = [(each, each.spoken) for each in heard if each.spoken]
    print(f"{name}: {len(heard)} words, {sum(right)} right")
    late = np.array([each.first_peak - spoken.start for each, spoken in pairs])
    print(f"  first peaks: {1000 * np.median(late):.0f} ms late; less that, {_sizes(late - np.median(late))}")
    starts = _sizes(np.array([each.word.start - spoken.start for each, spoken in pairs]))
    print(f"  beginnings: {starts}")
    print(f"  ends: {_sizes(np.array([each.word.end - spoken.end for each, spoken in pairs]))}")
    own = area([each.word.confidence for each in heard], right)
    print(
        f"  confidence: area {own:.3f}, geometric mean of the peaks {area([each.peaks for each in heard], right):.3f}"
    )
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        classed = [good for each, good in zip(heard, right, strict=True) if low <= each.word.confidence <= low + 0.2]
        print(f"  confidence {low:.1f} to {low + 0.2:.1f}: {sum(classed)} of {len(classed)} right")
    return starts.median <= MOST_MEDIAN and starts.p90 <= MOST_P90 and own >= LEAST_AREA


class _Sizes(NamedTuple):
    """Median and 90th percentile of errors, in milliseconds."""

    median: float
    p90: float

    def __str__(self) -> str:
        return f"median error {self.median:.0f} ms, 90th percentile {self.p90:.0f} ms"


def _sizes(errors: np.ndarray) -> _Sizes:
    return _Sizes(*(1000 * float(np.quantile(np.abs(errors), share)) for share in (0.5, 0.9)))


def main() -> int:
    """Print the figures of every model on val and test, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="*")
    parser.add_argument("--data-dir", type=Path, default=ROOT / "mini_dataset")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve()
        return 0
    spoken = speak([each for each in planned_utterances() if each.speaker.subset != "train-mini"])
    met = True
    for path in options.checkpoint:
        recognizer = load(path, torch.device("cpu"))
        val, test = (
            hear(recognizer, options.data_dir / "manifests" / f"{each}.csv", spoken) for each in ("val", "test")
        )
        late = statistics.median(each.word.start - each.spoken.start for each in val if each.spoken)
        print(f"{path}\nconstant fitted on val: {FURTHER + late:.3f} s; in timing.py: {FURTHER} s")
        report("val", val)
        met = report("test", test) and met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
