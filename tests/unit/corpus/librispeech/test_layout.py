"""Tests of LibriSpeech's layout: the names of folders and files, and the lines of a transcript file."""

import pytest

from speech_recognition.corpus.librispeech.layout import Transcript, check_place, parse_transcripts, split_of
from speech_recognition.errors import InputError


@pytest.mark.parametrize(
    ("subset", "split"),
    [("train-clean-100", "train"), ("train-other-500", "train"), ("dev-other", "val"), ("test-clean", "test")],
)
def test_the_beginning_of_a_subsets_name_tells_its_split(subset: str, split: str) -> None:
    assert split_of(subset, "here") == split


@pytest.mark.parametrize("subset", ["train", "train-", "val-clean", "Train-clean", "training-1", "", "dev-\x1b[2J"])
def test_a_subset_of_no_split_is_refused(subset: str) -> None:
    with pytest.raises(InputError, match=r"^here: subset folders are named train-\*, dev-\* or test-\*; rename it"):
        split_of(subset, "here")


@pytest.mark.parametrize("name", ["84-121123-0000.flac", "84-121123-12345.flac", "84-121123.trans.txt"])
def test_a_file_in_its_own_chapter_is_accepted(name: str) -> None:
    check_place(("dev-clean", "84", "121123", name), "here")


@pytest.mark.parametrize(
    "path",
    [
        "dev-clean/84/121123/84-121124-0000.flac",
        "dev-clean/84/121123/85-121123-0000.flac",
        "dev-clean/84/121123/84-121123.flac",
        "dev-clean/84/121123/84-121123-x.flac",
        "dev-clean/84/121123/84-121123-0000.trans.txt",
        "dev-clean/84/121123/84-121124.trans.txt",
        "dev-clean/84/84-121123-0000.flac",
        "dev-clean/84/121123/more/84-121123-0000.flac",
        "84-121123-0000.flac",
        "dev-clean/8./121123/84-121123-0000.flac",
    ],
)
def test_a_file_in_a_different_place_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=r"^here: does not lie at <speaker>/<chapter>/"):
        check_place(tuple(path.split("/")), "here")


def test_an_id_too_long_for_the_tar_stream_is_refused() -> None:
    speaker = "8" * 90
    with pytest.raises(InputError, match=r"^here: utterance_id .* at most 80 bytes"):
        check_place(("dev-clean", speaker, "1", f"{speaker}-1-0000.flac"), "here")


def test_each_line_is_an_id_and_words() -> None:
    content = b"84-1-0000 GO  ON\n84-1-0001  DON'T \r\n"
    assert list(parse_transcripts(content, "84-1", "84-1.trans.txt")) == [
        ("84-1-0000", Transcript("GO ON", "84-1.trans.txt", 1)),
        ("84-1-0001", Transcript("DON'T", "84-1.trans.txt", 2)),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"84-2-0001 GO", "2: the line must be '84-1-<utterance> TRANSCRIPT'; correct it"),
        (b"84-1-0001\tGO", "2: the line must be"),
        (b"", "2: the line must be"),
        (b"84-1-0000 GO", "2: utterance 84-1-0000 appears twice; remove one line"),
        (b"84-1-0001", "2: the transcript of utterance 84-1-0001 is empty"),
        (b"84-1-0001 go", "2: 'g' in utterance 84-1-0001 is outside the alphabet"),
        (b"84-1-0001 \xff", " not UTF-8 text .*; download it again"),
    ],
)
def test_a_bad_line_is_named(line: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"^84-1.trans.txt:{message}"):
        list(parse_transcripts(b"84-1-0000 ON\n" + line + b"\n", "84-1", "84-1.trans.txt"))
