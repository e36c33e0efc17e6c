"""Tests of the reading of language models: their words are found, and files of other kinds are refused."""

import base64
import os
import zlib
from pathlib import Path

import pytest

from speech_recognition.decoding.language_model import load_language_model
from speech_recognition.decoding.ngrams import count, write_arpa
from speech_recognition.errors import InputError

TEXT = ["THE CAT SAT", "THE DOG SAT", "THE CAT RAN AWAY", "A CAT", "SAT"]

BINARY = zlib.decompress(
    base64.b64decode(
        "eNrLzU0sUMjJVcgoKSmw0tfPzkhNTMtMzUnRS87P1U/OT0lVSMsvyk0sUShLLSrOzM9TMOViQIAGeyCxnxFI/AcCkAgjVIYZTB6wZ4KK"
        "gTBMJy+U5kEyiRNKF9Qp7rVsK2Vgb+jyv8Qlas6V8/1jbfGD7CvJr01/5HE0li/rYDWbPnlh6kW/0hKzN8t0/hyKdmpU2H7PX6w4Ofzk"
        "jf70x0arZSL+wcxlWbV7P8ihCJuOHZojcWsfjCd3eOL+2Qqz4PxTUqpg9TB/PLMJ3n963+l9LGjqWdH4bEjqQXx2FL7Ufk409ch+Rw4T"
        "dMAYJPL1NsvFL63adTk/QI5ikur98w0ko/z89aYakFNFnkvu3pd6P/W+kuHbiffVOpbl33UPOpMv7HL5+pPGE+e2cy56Wd3CfOYVyJij"
        "Hlff/8xtyviVZitw86eZo0nt54C/1nUgF2VldXTt8xXwvQ/zGjQOgWARa8aT7tmFs+Lu9lz+8i5tzrJ0N+X9ex9wefwQ9JbfpT/FaGX1"
        "xTefnykv9Xkld3Fy0e9zn4P2siP7wqY0L9uOwabYjsGRwUYfSIV4uDK4+LszBDn6MTg7hjAEA7FjuGMkAwCb0cJK"
    )
)
"""What KenLM's build_binary (of its trie kind) makes of the ARPA file of TEXT, order 3."""


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    write_arpa(tmp_path / "lm.arpa", count([text.split() for text in TEXT], 3))
    return tmp_path / "lm.arpa"


def test_a_binary_file_is_the_model_of_its_arpa_file(arpa: Path, tmp_path: Path) -> None:
    (tmp_path / "lm.bin").write_bytes(BINARY)
    one, other = load_language_model(arpa), load_language_model(tmp_path / "lm.bin")
    assert sorted(one.words) == sorted(other.words) == ["A", "AWAY", "CAT", "DOG", "RAN", "SAT", "THE"]
    scores = [
        model.kenlm.score(model.kenlm.start(False), model.words.index(word))[1]
        for word in one.words
        for model in (one, other)
    ]
    assert scores[::2] == pytest.approx(scores[1::2], abs=1e-6)


def test_words_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    write_arpa(tmp_path / "lm.arpa", count([["the", "2nd", "CAFÉ", "it's"]], 2))
    model = load_language_model(tmp_path / "lm.arpa")
    assert model.words == ["the", "it's"] and model.left_out == 2


def test_kenlm_is_silent(arpa: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_language_model(arpa)
    os.write(2, b"afterwards")
    assert capfd.readouterr() == ("", "afterwards")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no words in it"),
        (b"THE CAT SAT\n", "no words in it"),
        (b"\\data\\\nngram 1=1\n\n\\1-grams:\n-1\t<unk>\n", "no words in it"),
        (b"\\data\\\nngram 1=2\nngram 2=1\n\n\\1-grams:\n-1\tTHE\t0\n", "KenLM cannot read it ("),
        (b"\\1-grams:\n-1\t\xff\n", "its words are not in UTF-8"),
        (BINARY[:300], "no words in it"),
        (BINARY[:200] + BINARY[-60:], "KenLM cannot read it ("),
        (BINARY[:80] + bytes([9]) + BINARY[81:], "KenLM cannot read it ("),
    ],
)
def test_what_is_no_language_model_is_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "lm"
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        load_language_model(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: {reason}") and "\n" not in message
    assert message.endswith("; name an ARPA file (`lm` writes one) or a binary file of KenLM")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "gone", "."):
        with pytest.raises(InputError, match=f"{tmp_path / name}: "):
            load_language_model(tmp_path / name)
