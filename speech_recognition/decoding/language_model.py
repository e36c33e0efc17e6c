"""Word language models for beam search: ARPA files, and the binary files of KenLM's build_binary.

KenLM, which flashlight-text contains, computes the probabilities. It does not tell which words a model knows, so they
are read here.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from speech_recognition.alphabet import unknown_symbols
from speech_recognition.errors import InputError, one_line
from speech_recognition.files import open_regular

_ADVICE = "name an ARPA file (`lm` writes one) or a binary file of KenLM"

_BINARY = b"mmap lm http://kheafield.com/code"
"""Start of a binary file."""

_FIRST_WORD = b"<unk>\0"
"""Start of the words at the end of a binary file; each ends in a zero byte."""

_MARKS = {"<unk>", "<s>", "</s>"}
"""Entries of a model's vocabulary that are no words."""


@dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """A model of KenLM and the words that it knows and that this program can write."""

    kenlm: Any
    """flashlight-text's language model: an n-gram model over `words`, by their places there"""
    words: list[str]
    """Words as the model spells them, in capitals or not."""
    left_out: int
    """Number of words with characters outside the alphabet, which are never written."""


def load_language_model(path: Path) -> LanguageModel:
    """Return the model in an ARPA file or a binary file. Raises InputError, which names the file, if it is neither."""
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    words = _vocabulary(path)
    spelt = [word for word in words if not unknown_symbols(word.upper())]
    dictionary = Dictionary()
    for word in spelt:
        dictionary.add_entry(word)
    try:
        with _standard_error_to_a_file():
            kenlm = KenLM(str(path), dictionary)
    except Exception as error:  # of the library's C++ code
        reason = one_line(str(error).splitlines()[-1][-200:])  # the lines before it name places in KenLM's source
        raise InputError(f"{path}: KenLM cannot read it ({reason}); {_ADVICE}") from None
    return LanguageModel(kenlm=kenlm, words=spelt, left_out=len(words) - len(spelt))


def _vocabulary(path: Path) -> list[str]:
    """Return the words of a model, without repeats. Raises InputError if the file has none or cannot be read."""
    try:
        with open_regular(path, _ADVICE) as file:
            binary = file.read(len(_BINARY)) == _BINARY
            file.seek(0)
            words = _words_of_binary(file) if binary else _words_of_arpa(file)
            known = [word.decode() for word in dict.fromkeys(words)]
    except IsADirectoryError:
        raise InputError(f"{path}: not a regular file; {_ADVICE}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {_ADVICE}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: its words are not in UTF-8; {_ADVICE}") from None
    if not set(known) - _MARKS:
        raise InputError(f"{path}: no words in it; {_ADVICE}")
    return [word for word in known if word not in _MARKS]


def _words_of_arpa(file: BinaryIO) -> Iterator[bytes]:
    r"""Yield the words of the section \1-grams, whose lines hold a log-probability, a word and perhaps a weight."""
    within = False
    for line in file:
        fields = line.split()
        if line.startswith(b"\\"):
            if within:
                return
            within = fields == [b"\\1-grams:"]
        elif within and len(fields) >= 2:
            yield fields[1]


def _words_of_binary(file: BinaryIO) -> list[bytes]:
    """Return the words at the end of a binary file; none if it was built without them."""
    content = file.read()
    start = content.rfind(_FIRST_WORD)
    return content[start:].removesuffix(b"\0").split(b"\0") if start >= 0 else []


@contextmanager
def _standard_error_to_a_file() -> Iterator[None]:
    """Keep what C++ code prints to standard error in the block off the terminal: KenLM draws a bar and gives advice."""
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
