"""Long recordings and live text: what they cost in memory and in words.

    python benchmarks/long_recordings.py MODEL MANIFEST [--joined 60] [--pause 0.35] [--margin 0.1] [--minutes 60]

MANIFEST lists short utterances with transcripts. The script joins them, `--joined` at a time in random order with
pauses of faint noise between them, and prints

- the word error rate of the utterances apart, and of the joined recordings: as one utterance, cut at their pauses, and
  with the state carried over (unidirectional models); and how many words of the joined texts differ from those apart;
- the peak memory and speed of recordings of one minute and of `--minutes`, each in a new process, for each way;
- for a unidirectional model, the largest difference between the log-probabilities of a recording in blocks and as a
  whole; the WER of live text on the utterances apart and joined; and the time from a word's end to its text, which is
  audio that has to be heard first, plus the time of computing.

It exits with status 1 if cutting at pauses makes more than 1.25 times the errors of the utterances apart, if the long
recording takes over 200 MB more memory than one minute, or if a difference is above 1e-4.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import Levenshtein  # noqa: E402
import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402

from speech_recognition.batches import collate  # noqa: E402
from speech_recognition.corpus.audio import read_pcm  # noqa: E402
from speech_recognition.corpus.manifest import Utterance, read_manifest  # noqa: E402
from speech_recognition.inference.blocks import LongRecording, Samples  # noqa: E402
from speech_recognition.inference.defaults import MARGIN_SECONDS  # noqa: E402
from speech_recognition.inference.inputs import Input  # noqa: E402
from speech_recognition.inference.live import BLOCK_SECONDS, live_text  # noqa: E402
from speech_recognition.inference.loading import load  # noqa: E402
from speech_recognition.inference.streaming import can_stream, stream  # noqa: E402
from speech_recognition.inference.transcript import Transcript  # noqa: E402
from speech_recognition.inference.transcription import Transcriber  # noqa: E402
from speech_recognition.parameters import SAMPLE_RATE  # noqa: E402
from speech_recognition.recognizer import AnyRecognizer, Recognizer  # noqa: E402
from speech_recognition.scoring import Score, score  # noqa: E402

MOST_RATIO, MOST_BYTES, MOST_DIFFERENCE = 1.25, 200e6, 1e-4
"""Bars: WER cut at pauses over WER apart; memory beyond that of one minute; difference of log-probabilities."""

WHOLE = 1e9
"""Seconds that no recording exceeds: every one is a single utterance."""


def joined(utterances: Sequence[Utterance], pause: float, seed: int) -> Samples:
    """Return the recordings of `utterances` with pauses of faint noise, in seconds, after each."""
    draw = np.random.default_rng(seed)
    pieces = [(read_pcm(each.audio), draw.integers(-5, 6, round(pause * SAMPLE_RATE))) for each in utterances]
    return np.concatenate([piece for pair in pieces for piece in pair]).astype(np.int16)


def transcripts(
    recognizer: AnyRecognizer,
    paths: Sequence[Path],
    long_seconds: float,
    long: Literal["carry", "cut"] = "cut",
    margin: float = MARGIN_SECONDS,
) -> list[Transcript]:
    """Return the transcripts of recordings."""
    inputs = [Input(name=str(path), path=path, stem=Path(path.stem), reference=None) for path in paths]
    transcriber = Transcriber(recognizer=recognizer, long_seconds=long_seconds, long=long, margin=margin)
    results = [*transcriber.transcribe(inputs)]
    assert all(isinstance(each, Transcript) for each in results)
    return results  # type: ignore[return-value]


def print_joined(recognizer: AnyRecognizer, groups: Sequence[Sequence[Utterance]], pause: float, margin: float) -> bool:
    """Print the WER of utterances apart and joined; return whether cutting at pauses meets the bar."""
    ways: dict[str, tuple[float, Literal["carry", "cut"]]] = {
        "as one utterance": (WHOLE, "cut"),
        "cut at pauses": (0.0, "cut"),
    }
    if can_stream(recognizer):
        ways["state carried over"] = (0.0, "carry")
    references = [" ".join(each.transcript for each in group) for group in groups]
    found = [each.text for group in groups for each in transcripts(recognizer, [each.audio for each in group], WHOLE)]
    counts = iter(found)
    apart = [" ".join(next(counts) for _ in group) for group in groups]
    own = sum(map(score, references, apart), Score())
    print(f"{len(found)} utterances apart: {own}")
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.wav" for index in range(len(groups))]
        for index, (group, path) in enumerate(zip(groups, paths, strict=True)):
            soundfile.write(path, joined(group, pause, index), SAMPLE_RATE)
        for way, (long_seconds, long) in ways.items():
            texts = [each.text for each in transcripts(recognizer, paths, long_seconds, long, margin)]
            total = sum(map(score, references, texts), Score())
            ratios[way] = total.wer / own.wer
            changed = sum(Levenshtein.distance(a.split(), b.split()) for a, b in zip(apart, texts, strict=True))
            share = 100 * changed / max(1, sum(len(each.split()) for each in apart))
            print(
                f"  joined with pauses of {pause} s, {way}: WER {total.wer:.2f}, {ratios[way]:.2f} times that apart;"
                f" {share:.1f}% of the words differ from those apart"
            )
    return ratios["cut at pauses"] <= MOST_RATIO


def print_memory(model: Path, utterances: Sequence[Utterance], minutes: int, ways: Sequence[str]) -> bool:
    """Print the peak memory of one minute and of `minutes`; return whether the bar is met."""
    met = True
    with tempfile.TemporaryDirectory() as folder:
        paths = {each: Path(folder) / f"{each}.flac" for each in (1, minutes)}
        for each, path in paths.items():
            with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_16") as file:
                for block in _endless(utterances, each * 60):
                    file.write(block)
        for way in ways:
            figures = []
            for path in paths.values():
                command = [sys.executable, __file__, str(model), str(path), "--child", way]
                output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
                figures.append(json.loads(output.splitlines()[-1]))
            more = figures[1]["peak"] - figures[0]["peak"]
            met = met and more <= MOST_BYTES
            print(
                f"{way}: peak memory {figures[0]['peak'] / 1e6:.0f} MB for a minute, {figures[1]['peak'] / 1e6:.0f} MB"
                f" for {minutes} minutes ({more / 1e6:+.0f} MB), {60 * minutes / figures[1]['seconds']:.1f} times real"
                f" time, {figures[1]['words']} words"
            )
    return met


def _endless(utterances: Sequence[Utterance], seconds: int) -> Iterator[Samples]:
    """Yield recordings again and again, with pauses, up to `seconds` in all."""
    left = seconds * SAMPLE_RATE
    while left > 0:
        for each in utterances:
            block = joined([each], 0.35, left)[:left]
            left -= len(block)
            yield block


def print_child(model: Path, path: Path, way: str) -> None:
    """Transcribe one recording; print the number of words, the seconds and this process's peak memory as JSON."""
    recognizer = load(model, torch.device("cpu"))
    begin = time.perf_counter()
    (result,) = transcripts(recognizer, [path], 40.0, "carry" if way == "carry" else "cut")
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"words": len(result.words), "seconds": time.perf_counter() - begin, "peak": peak}))


@torch.inference_mode()
def largest_difference(recognizer: Recognizer, samples: Samples) -> float:
    """Return the largest difference between the log-probabilities of a recording in blocks and as a whole."""
    batch = collate([(0, torch.from_numpy(samples), torch.zeros(0, dtype=torch.int64))])
    whole = recognizer.log_probs(batch)[0][:, 0]
    largest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        soundfile.write(path := Path(folder) / "a.wav", samples, SAMPLE_RATE)
        recording = LongRecording(path)
        for size in (500, 7_000, 100_000):
            recording.blocks = lambda size=size: np.split(samples, range(size, len(samples), size))  # type: ignore
            parts = torch.cat([*stream(recognizer, recording)])
            largest = max(largest, float((parts - whole).abs().max()))
    return largest


def live(recognizer: Recognizer, samples: Samples) -> tuple[str, list[float]]:
    """Return the live text of a recording, and the seconds of audio at which each of its words was complete."""
    size, heard = round(BLOCK_SECONDS * SAMPLE_RATE), 0

    def blocks() -> Iterator[Samples]:
        nonlocal heard
        for at in range(0, len(samples), size):
            heard = at + size
            yield samples[at : at + size]

    text, times = "", []
    for more in live_text(recognizer, blocks()):
        text += more
        times += [heard / SAMPLE_RATE] * (len(text.split()) - len(times))
        if times and more.strip():  # the last word goes on
            times[-1] = heard / SAMPLE_RATE
    return " ".join(text.split()), times


def print_live(recognizer: Recognizer, groups: Sequence[Sequence[Utterance]], pause: float) -> None:
    """Print the WER and the latency of live text."""
    begin, audio, late = time.perf_counter(), 0.0, []
    totals = {"apart": Score(), "joined": Score()}
    with tempfile.TemporaryDirectory() as folder:
        for index, group in enumerate(groups):
            for each in group:
                totals["apart"] += score(each.transcript, live(recognizer, read_pcm(each.audio))[0])
            samples = joined(group, pause, index)
            text, times = live(recognizer, samples)
            totals["joined"] += score(" ".join(each.transcript for each in group), text)
            audio += 2 * len(samples) / SAMPLE_RATE
            soundfile.write(path := Path(folder) / "a.wav", samples, SAMPLE_RATE)
            (complete,) = transcripts(recognizer, [path], 0.0, "carry")
            late += _delays(text.split(), times, complete)
    for name, total in totals.items():
        print(f"live, {name}: WER {total.wer:.2f}")
    if not late:
        print("  no word of the live text is one of the complete recording's")
        return
    median, most = np.quantile(late, [0.5, 0.9])
    computing = (time.perf_counter() - begin) / audio * BLOCK_SECONDS
    print(
        f"  a word's text comes {median:.2f} s of audio after its end in the median, {most:.2f} s in the 90th"
        f" percentile ({len(late)} words), plus about {computing:.2f} s of computing"
    )


def _delays(words: Sequence[str], times: Sequence[float], complete: Transcript) -> Iterator[float]:
    """Yield the delay of each live word that the complete recording has too."""
    known = [each.word for each in complete.words]
    for kind, first, end, start, _ in Levenshtein.opcodes(known, list(words)):
        for offset in range(end - first if kind == "equal" else 0):
            yield times[start + offset] - complete.words[first + offset].end


def main() -> int:
    """Print all figures and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", type=Path)
    add("manifest", type=Path)
    add("--joined", type=int, default=60, help="utterances in a joined recording")
    add("--pause", type=float, default=0.35, help="seconds of the pauses between them")
    add("--margin", type=float, default=MARGIN_SECONDS, help="seconds of silence kept where a recording is cut")
    add("--minutes", type=int, default=60, help="length of the long recording; 0 leaves memory out")
    add("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print_child(options.model, options.manifest, options.child)
        return 0
    recognizer = load(options.model, torch.device("cpu"))
    utterances = read_manifest(options.manifest)
    random.Random(1).shuffle(utterances)
    groups = [utterances[at : at + options.joined] for at in range(0, len(utterances), options.joined)]
    met = print_joined(recognizer, groups, options.pause, options.margin)
    if can_stream(recognizer):
        difference = largest_difference(recognizer, joined(groups[0], options.pause, 0))
        print(f"largest difference in blocks: {difference:.1e}")
        met = met and difference <= MOST_DIFFERENCE
        print_live(recognizer, groups, options.pause)
    if options.minutes:
        ways = ["cut", "carry"] if can_stream(recognizer) else ["cut"]
        met = print_memory(options.model, utterances, options.minutes, ways) and met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
