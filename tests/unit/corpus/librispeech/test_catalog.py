"""Tests of the catalog of archives: its content agrees with the publisher's, and a damaged file is refused."""

import json
import re
from pathlib import Path

import pytest

from speech_recognition.commands import REFERENCES
from speech_recognition.corpus.librispeech.catalog import read_catalog, utterances_by_split
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
        assert each.older_bytes and each.older_bytes > each.bytes


@pytest.mark.parametrize("option", ["clean", "clean_small", "other"])
def test_every_option_has_a_training_a_validation_and_a_test_part(option: str) -> None:
    assert {each.subset.partition("-")[0] for each in CATALOG.options[option]} == {"train", "dev", "test"}


def test_small_is_the_two_archives_of_another_resource_and_has_no_test_part() -> None:
    archives = {each.subset: each for each in CATALOG.options["small"]}
    assert sorted(archives) == ["dev-clean-2", "train-clean-5"]
    assert sum(each.bytes for each in archives.values()) == 459_000_655
    assert utterances_by_split([*archives.values()]) == {"train": 1_519, "val": 1_089, "test": 0}
    for each in archives.values():
        assert each.resource == 31 and each.older_bytes is None
        assert re.fullmatch(r"[0-9a-f]{64}", each.sha256) and re.fullmatch(r"[0-9a-f]{32}", each.md5)
    with_speech = [each.bytes / each.hours for each in CATALOG.options["all"]]
    assert all(min(with_speech) < each.bytes / each.hours < max(with_speech) for each in archives.values())


def test_every_mirror_has_the_folders_of_both_resources() -> None:
    (large, *_), (small, *_) = CATALOG.options["all"], CATALOG.options["small"]
    assert large.url(CATALOG.mirrors[0]) == "https://www.openslr.org/resources/12/dev-clean.tar.gz"
    for mirror in CATALOG.mirrors:
        assert large.url(mirror).endswith("/resources/12/dev-clean.tar.gz")
        assert small.url(mirror).endswith("/resources/31/dev-clean-2.tar.gz")
    assert small.url("http://mine/archives/") == "http://mine/archives/dev-clean-2.tar.gz"


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
