"""Time to count the errors of a million words, and to decode as many utterances as LibriSpeech's two dev sets have.

    python benchmarks/scoring.py [--words 1000000] [--utterances 5567] [--repeats 5]

Scoring: the package's `score`, which counts words and characters; jiwer, if it is installed (pip install jiwer); and a
plain Python loop. jiwer and the loop count words alone. A hypothesis is its reference with about 15% of its words
replaced, dropped or doubled. Greedy decoding: the package's `greedy`, and a plain loop over output frames, on random
log-probabilities for utterances of 2 to 35 s, in batches of 32.

The ways alternate, and must agree: on the number of word errors, and on each text. For each way the script prints the
median time, and its ratio to the package's own: median, lowest, highest.
"""

import argparse
import importlib.util
import itertools
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from speech_recognition import alphabet  # noqa: E402
from speech_recognition.decoding.greedy import greedy  # noqa: E402
from speech_recognition.scoring import score  # noqa: E402

Pairs = Sequence[tuple[str, str]]
"""A reference and a hypothesis for each utterance."""
Outputs = Sequence[tuple[Tensor, Tensor]]
"""Log-probabilities [t, b, symbol] and lengths [b] of each batch."""

FRAMES_PER_SECOND = 50
"""Output frames of `reference` for a second of audio."""


def make_pairs(words: int) -> list[tuple[str, str]]:
    """Return pairs of texts with `words` words in the references, in utterances of 1 to 35 words."""
    draw, pairs = random.Random(1), list[tuple[str, str]]()
    vocabulary = ["".join(draw.choices("ETAOINSHRDLU", k=draw.randint(1, 9))) for _ in range(5000)]
    while words > 0:
        reference = draw.choices(vocabulary, k=min(words, draw.randint(1, 35)))
        hypothesis = list[str]()
        for word in reference:
            place = draw.random()
            changed = [] if place < 0.03 else [word, word] if place < 0.06 else draw.choices(vocabulary)
            hypothesis += changed if place < 0.15 else [word]
        pairs.append((" ".join(reference), " ".join(hypothesis)))
        words -= len(reference)
    return pairs


def ours(pairs: Pairs) -> int:
    """Return the word errors that the package counts."""
    return sum(score(reference, hypothesis).word_errors for reference, hypothesis in pairs)


def with_jiwer(pairs: Pairs) -> int:
    """Return the word errors that jiwer counts."""
    import jiwer

    references, hypotheses = zip(*pairs, strict=True)
    found = jiwer.process_words(list(references), list(hypotheses))
    return int(found.substitutions + found.deletions + found.insertions)


def plain(pairs: Pairs) -> int:
    """Return the word errors by the textbook's table, a row for each word of a reference."""
    return sum(_distance(reference.split(), hypothesis.split()) for reference, hypothesis in pairs)


def _distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Return the least number of insertions, deletions and replacements between two lists of words."""
    above = list(range(len(hypothesis) + 1))
    for number, word in enumerate(reference, start=1):
        row = [number]
        for place, other in enumerate(hypothesis):
            row.append(min(above[place] + (word != other), above[place + 1] + 1, row[place] + 1))
        above = row
    return above[-1]


def make_outputs(utterances: int) -> list[tuple[Tensor, Tensor]]:
    """Return random log-probabilities for `utterances`, sorted by length, in batches of 32."""
    draw, generator = random.Random(2), torch.Generator().manual_seed(2)
    lengths = sorted(int(FRAMES_PER_SECOND * min(35, max(2, draw.gauss(7, 4)))) for _ in range(utterances))
    batches = [torch.tensor(lengths[start : start + 32]) for start in range(0, utterances, 32)]
    sizes = ((int(batch.max()), len(batch), len(alphabet.SYMBOLS)) for batch in batches)
    return [
        (torch.randn(size, generator=generator).log_softmax(-1), batch)
        for size, batch in zip(sizes, batches, strict=True)
    ]


def decode(outputs: Outputs) -> list[str]:
    """Return the texts that the package decodes."""
    return [text for log_probs, lengths in outputs for text in greedy(log_probs, lengths)]


def decode_plainly(outputs: Outputs) -> list[str]:
    """Return the texts by a loop over each utterance's output frames."""
    texts = []
    for log_probs, lengths in outputs:
        for index, length in enumerate(lengths.tolist()):
            path = [max(range(len(frame)), key=frame.__getitem__) for frame in log_probs[:length, index].tolist()]
            texts.append(alphabet.decode([symbol for symbol, _ in itertools.groupby(path) if symbol != alphabet.BLANK]))
    return texts


def compare(task: str, ways: Mapping[str, Callable[[], object]], repeats: int) -> None:
    """Time the ways alternately, print a line for each, and raise ValueError if two of them disagree."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        found = {}
        for name, way in ways.items():
            begin = time.perf_counter()
            found[name] = way()
            seconds[name].append(time.perf_counter() - begin)
        own = next(iter(found.values()))
        for name, each in found.items():
            if each != own:
                raise ValueError(f"{task}: {name} differs from {next(iter(found))}")
    base = next(iter(seconds.values()))
    for name, times in seconds.items():
        ratios = sorted(each / other for each, other in zip(times, base, strict=True))
        print(
            f"{task}, {name}: {statistics.median(times):.3f} s, {statistics.median(ratios):.2f} times ours"
            f" ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def main() -> None:
    """Compare the ways to score, then the ways to decode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--utterances", type=int, default=5567)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    pairs = make_pairs(options.words)
    ways: dict[str, Callable[[], object]] = {"ours": lambda: ours(pairs)}
    if importlib.util.find_spec("jiwer"):
        ways["jiwer"] = lambda: with_jiwer(pairs)
    else:
        print("jiwer is left out: it is not installed (pip install jiwer)")
    compare(f"scoring {options.words} words", ways | {"plain loop": lambda: plain(pairs)}, options.repeats)
    outputs = make_outputs(options.utterances)
    decoders = {"ours": lambda: decode(outputs), "plain loop": lambda: decode_plainly(outputs)}
    compare(f"decoding {options.utterances} utterances", decoders, options.repeats)


if __name__ == "__main__":
    main()
