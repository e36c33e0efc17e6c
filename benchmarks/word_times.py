"""Word times and confidence of a trained `mini`, against the word events of the synthesiser that spoke its corpus.

    python benchmarks/word_times.py CHECKPOINT [--data-dir mini_dataset]

The val and test sets are spoken again, in a process of its own, this time for the moments at which the synthesiser
begins a word. The script prints the lags that make the median error of beginnings and of ends zero on val, which are
those of `speech_recognition/inference/words.py` if the model is of the same kind. On both sets it then prints, with the
lags that stand in words.py and for the words that are right:

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
from speech_recognition.inference.words import Lags, Word, clock_of, read_words  # noqa: E402
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
    replies = subprocess.run(command, input="\n".join(jobs), capture_output=True, text=True, check=True).stdout
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
def hear(recognizer: AnyRecognizer, manifest: Path, spoken: dict[str, list[Spoken]], lags: Lags) -> list[Heard]:
    """Return the recognised words of all utterances of a manifest."""
    clock, nothing = clock_of(recognizer.params)._replace(lags=lags), torch.zeros(0, dtype=torch.int64)
    heard = []
    for utterance in read_manifest(manifest):
        batch = collate([(0, torch.from_numpy(read_pcm(utterance.audio)), nothing)])
        log_probs, lengths = recognizer.log_probs(batch)
        log_probs = log_probs[: lengths[0], 0].cpu()
        words = read_words(log_probs, log_probs.argmax(1).tolist(), clock)
        right = _right([each.word for each in words], spoken[utterance.id])
        peaks = _peaks(log_probs)
        heard += [Heard(word, peak, each) for word, peak, each in zip(words, peaks, right, strict=True)]
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


def errors(heard: Sequence[Heard]) -> tuple[np.ndarray, np.ndarray]:
    """Return by how many milliseconds the beginnings and the ends of the right words are late."""
    pairs = [(each.word, each.spoken) for each in heard if each.spoken]
    late = [(word.start - spoken.start, word.end - spoken.end) for word, spoken in pairs]
    starts, ends = 1000 * np.array(late).T
    return starts, ends


def report(name: str, heard: Sequence[Heard]) -> bool:
    """Print the figures of one set; return whether they meet the bars."""
    right = [each.spoken is not None for each in heard]
    print(f"{name}: {len(heard)} words, {sum(right)} right")
    sizes = {}
    for edge, late in zip(("beginnings", "ends"), errors(heard), strict=True):
        sizes[edge] = [float(np.quantile(np.abs(late), share)) for share in (0.5, 0.9)]
        print(f"  {edge}: median error {sizes[edge][0]:.0f} ms, 90th percentile {sizes[edge][1]:.0f} ms")
    own = area([each.word.confidence for each in heard], right)
    print(
        f"  confidence: area {own:.3f}, geometric mean of the peaks {area([each.peaks for each in heard], right):.3f}"
    )
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        classed = [good for each, good in zip(heard, right, strict=True) if low <= each.word.confidence <= low + 0.2]
        print(f"  confidence {low:.1f} to {low + 0.2:.1f}: {sum(classed)} of {len(classed)} right")
    return sizes["beginnings"][0] <= MOST_MEDIAN and sizes["beginnings"][1] <= MOST_P90 and own >= LEAST_AREA


def main() -> int:
    """Fit the lags on val, print the figures of val and test, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--data-dir", type=Path, default=ROOT / "mini_dataset")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve()
        return 0
    recognizer = load(options.checkpoint, torch.device("cpu"))
    own = clock_of(recognizer.params).lags
    spoken = speak([each for each in planned_utterances() if each.speaker.subset != "train-mini"])
    manifests = {name: options.data_dir / "manifests" / f"{name}.csv" for name in ("val", "test")}
    # Without lags, words begin and end at their symbols; where another word follows at once, its beginning is the end.
    starts, _ = errors(hear(recognizer, manifests["val"], spoken, Lags(0.0, 0.0)))
    start = float(np.median(starts)) / 1000
    _, ends = errors(hear(recognizer, manifests["val"], spoken, Lags(start, 0.0)))
    print(f"lags fitted on val: {start:.3f} s and {np.median(ends) / 1000:.3f} s; in words.py: {own}")
    met = [report(name, hear(recognizer, path, spoken, own)) for name, path in manifests.items()]
    return 0 if met[-1] else 1


if __name__ == "__main__":
    sys.exit(main())
