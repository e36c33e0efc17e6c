r"""An n-gram language model counted from text, written as an ARPA file that KenLM and others read.

Witten and Bell 1991, method C, interpolated. With c(h, w) the times that the word w follows the words h, and T(h) the
number of different words that follow h:

    P(w | h) = (c(h, w) + T(h) P(w | h')) / (c(h) + T(h))        h' is h without its first word
    P(w)     = (c(w) + T / V) / (c + T)                          V words, </s> and <unk> among them

so that a history with many different continuations trusts its own counts less. Unlike Kneser-Ney's, its estimates are
sound for a small text with few different words, such as the embedded corpus's. An ARPA file holds log10 P(w | h) of the
n-grams that occur, and as weight of h the factor T(h) / (c(h) + T(h)) of those that do not.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from speech_recognition.alphabet import unknown_symbols
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.corpus.manifest_forms import is_manifest
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write, open_regular

_BEGIN, _END, _UNKNOWN = "<s>", "</s>", "<unk>"

_ADVICE = "name text files with a sentence in each line, or manifests (.csv, .tsv, .json)"


@dataclass(frozen=True, kw_only=True)
class Ngrams:
    """Counts of the n-grams of a text."""

    counts: list[Counter[str]]
    """For each order from 1 on, times that each n-gram occurs; its words are joined by spaces."""
    sentences: int
    """Number of sentences."""

    def __str__(self) -> str:
        words = self.counts[0].total() - self.sentences  # without the sentences' ends
        orders = ", ".join(f"{len(ngrams)} {order}-grams" for order, ngrams in enumerate(self.counts[1:], start=2))
        return f"{self.sentences} sentences, {words} words, {len(self.counts[0]) - 1} of them different, {orders}"


def read_sentences(paths: Iterable[Path]) -> Iterator[list[str]]:
    """Yield the words of each sentence, in capitals: a line of a text file, or a transcript of a manifest.

    Raises InputError, which names the file and the line, if a file cannot be read or has a character outside the
    alphabet.
    """
    for path in paths:
        if is_manifest(path):
            yield from (utterance.transcript.split() for utterance in read_manifest(path))
        else:
            yield from _read_lines(path)


def _read_lines(path: Path) -> Iterator[list[str]]:
    """Yield the words of each line of a text file. Raises InputError as `read_sentences` does."""
    try:
        with open_regular(path, _ADVICE) as file:
            for number, line in enumerate(file, start=1):
                text = " ".join(line.decode("utf-8-sig").upper().split())
                if unknown := unknown_symbols(text):
                    raise InputError(
                        f"{path}, line {number}: {unknown[:20]!r} is outside the alphabet (A to Z, apostrophe, space);"
                        " spell it out or remove it"
                    )
                yield text.split()
    except IsADirectoryError:
        raise InputError(f"{path}: not a regular file; {_ADVICE}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {_ADVICE}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not in UTF-8; {_ADVICE}") from None


def count(sentences: Iterable[list[str]], order: int) -> Ngrams:
    """Return the counts of n-grams of 1 to at most `order` words. Empty sentences are left out.

    Raises InputError if there is no sentence.
    """
    counts: list[Counter[str]] = [Counter() for _ in range(order)]
    number = 0
    for words in sentences:
        if not words:
            continue
        number += 1
        marked = [_BEGIN, *words, _END]
        for length, ngrams in enumerate(counts, start=1):
            # An n-gram predicts its last word, which is never the sentence's beginning.
            ngrams.update(
                " ".join(marked[max(0, end - length) : end]) for end in range(max(length, 2), len(marked) + 1)
            )
    if not number:
        raise InputError(f"no words in the text; {_ADVICE}")
    # If every sentence is short, there are no n-grams of the highest orders.
    return Ngrams(counts=[ngrams for ngrams in counts if ngrams], sentences=number)


def write_arpa(path: Path, ngrams: Ngrams) -> None:
    """Write the model of the counts as an ARPA file."""
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        _write(file, ngrams.counts)


def _write(file: TextIO, counts: list[Counter[str]]) -> None:
    """Write the sections of an ARPA file, from 1-grams on."""
    sizes = [len(counts[0]) + 2, *map(len, counts[1:])]  # <s> and <unk> have no counts
    file.write("\\data\\\n" + "".join(f"ngram {order}={size}\n" for order, size in enumerate(sizes, start=1)))
    lower: dict[str, float] = {}  # probabilities of the order below
    for order, ngrams in enumerate(counts, start=1):
        weights = _weights(counts[order]) if order < len(counts) else {}
        probabilities = _probabilities(ngrams, lower) if order > 1 else _unigrams(ngrams)
        file.write(f"\n\\{order}-grams:\n")
        if order == 1:
            file.write(f"-99\t{_BEGIN}{_weight(weights, _BEGIN)}\n")
        for ngram, probability in probabilities.items():
            file.write(f"{math.log10(probability):.6f}\t{ngram}{_weight(weights, ngram)}\n")
        lower = probabilities
    file.write("\n\\end\\\n")


def _unigrams(counts: Counter[str]) -> dict[str, float]:
    """Return the probability of each word, of the sentence's end, and of an unknown word."""
    kinds, total, vocabulary = len(counts), counts.total(), len(counts) + 1
    known = {word: (times + kinds / vocabulary) / (total + kinds) for word, times in counts.items()}
    return {_UNKNOWN: kinds / vocabulary / (total + kinds)} | known


def _probabilities(counts: Counter[str], lower: dict[str, float]) -> dict[str, float]:
    """Return the probability of the last word of each n-gram, given the probabilities of the order below."""
    totals, kinds = _histories(counts)
    probabilities = {}
    for ngram, times in counts.items():
        history, shorter = ngram.rpartition(" ")[0], ngram.partition(" ")[2]
        share = times + kinds[history] * lower[shorter]
        probabilities[ngram] = share / (totals[history] + kinds[history])
    return probabilities


def _weights(counts: Counter[str]) -> dict[str, float]:
    """Return the weight of each history of the n-grams."""
    totals, kinds = _histories(counts)
    return {history: kinds[history] / (totals[history] + kinds[history]) for history in totals}


def _histories(counts: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """Return how often each history occurs, and how many different words follow it."""
    totals: Counter[str] = Counter()
    for ngram, times in counts.items():
        totals[ngram.rpartition(" ")[0]] += times
    return totals, Counter(ngram.rpartition(" ")[0] for ngram in counts)


def _weight(weights: dict[str, float], ngram: str) -> str:
    """Return the end of an n-gram's line: its weight, if longer n-grams begin with it."""
    return f"\t{math.log10(weights[ngram]):.6f}" if ngram in weights else ""
