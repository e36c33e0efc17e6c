"""Tests of the catalog of archives: its content agrees with the publisher's, and a damaged file is refused."""

import json
import re
from pathlib import Path

import pytest

from speech_recognition.commands import REFERENCES
from speech_recognition.corpus.librispeech.catalog import read_catalog
from speech_recognition.errors import InputError

PATH = REFERENCES / "librispeech.json"
CATALOG = read_catalog(PATH)


def test_all_is_the_seven_archives_as_published() -> None:
    archives = CATALOG.options["all"]
    assert len({each.subset for each in archives}) == 7
    assert sum(each.bytes for each in archives) == 61_357_943_031
    assert sum(each.utterances for each in archives) == 292_367
    train = [each for each in archives if each.subset.startswith("train-")]
    assert sum(each.utterances for each in train) == 281_241
    assert round(sum(each.hours for each in train), 1) == 960.9
    for each in archives:
        assert re.fullmatch(r"[0-9a-f]{64}", each.sha256) and re.fullmatch(r"[0-9a-f]{32}", each.md5)
        assert each.older_bytes > each.bytes


@pytest.mark.parametrize("option", ["clean", "clean_small", "other"])
def test_every_option_has_a_training_a_validation_and_a_test_part(option: str) -> None:
    assert {each.subset.partition("-")[0] for each in CATALOG.options[option]} == {"train", "dev", "test"}


def test_the_options_differ_and_clean_and_other_are_all() -> None:
    options = {name: {each.subset for each in archives} for name, archives in CATALOG.options.items()}
    assert options["clean"] | options["other"] == options["all"]
    assert options["clean_small"] < options["clean"]
    assert not options["clean"] & options["other"]


def test_the_first_mirrors_are_encrypted() -> None:
    schemes = [mirror.partition(":")[0] for mirror in CATALOG.mirrors]
    assert schemes[0] == "https" and schemes == sorted(schemes, reverse=True)


def test_a_missing_or_damaged_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_catalog(tmp_path / "none.json")
    content = json.loads(PATH.read_text())
    del content["archives"][0]["sha256"]
    (tmp_path / "some.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="damaged"):
        read_catalog(tmp_path / "some.json")
