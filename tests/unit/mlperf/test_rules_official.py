"""Tests that our rules ask all that the installed checker's do, and that its command accepts them."""

import dataclasses
import itertools
import math
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlperf_logging.compliance_checker import mlp_compliance
from mlperf_logging.compliance_checker.mlp_parser.ruleset_610 import parse_generator

import params
from speech_recognition.mlperf.check import RULES

OFFICIAL = Path(str(files("mlperf_logging.compliance_checker"))) / "training_6.1.0"


def key_records(path: Path) -> dict[str, dict[str, Any]]:
    with path.open() as rules:
        entries = yaml.load(rules, Loader=yaml.BaseLoader)
    return {entry["KEY"]["NAME"]: entry["KEY"] for entry in entries if "KEY" in entry}


@pytest.mark.parametrize("werror", [[], ["--werror"]])
def test_the_documented_command(werror: list[str], good_log: Any, tmp_path: Path) -> None:
    path = tmp_path / "speech_ds2.out"
    config = str(RULES / "closed.yaml")
    command = [sys.executable, "-m", "mlperf_logging.compliance_checker", "--ruleset", "6.1.0", "--config", config]
    lines = good_log()
    for content, outcome in [(lines, (0, "INFO - SUCCESS")), ([*lines, lines[2]], (1, "ERROR - FAILED"))]:
        path.write_text("\n".join(content) + "\n")
        run = subprocess.run([*command, *werror, path.name], cwd=tmp_path, capture_output=True, text=True)
        assert (run.returncode, run.stderr.splitlines()[-1]) == outcome


@pytest.mark.parametrize("name", ["common", "closed_common", "open_common"])
def test_no_requirement_is_missing(name: str) -> None:
    ours = key_records(RULES / "common.yaml")
    at_least_one = {key for key, record in ours.items() if record.get("REQ") in ("EXACTLY_ONE", "AT_LEAST_ONE")}
    official = key_records(OFFICIAL / f"{name}.yaml")
    assert official.keys() <= ours.keys()
    for key, record in official.items():
        if record["REQ"] == "EXACTLY_ONE":
            assert ours[key]["REQ"] == "EXACTLY_ONE", key
        elif record["REQ"] == "AT_LEAST_ONE":
            assert key in at_least_one, key
        else:
            alternatives = record["REQ"].removeprefix("AT_LEAST_ONE_OR(").rstrip(")").split(",")
            assert at_least_one & {key, *map(str.strip, alternatives)}, key


def refused_by_the_official_rules(lines: list[str]) -> bool:
    loglines, _ = parse_generator(lines)
    checker = mlp_compliance.make_checker("training", "6.1.0", quiet=False, werror=True)
    for name in ("common", "closed_common"):
        checker.configured_checks(loglines, str(OFFICIAL / f"{name}.yaml"))
    mlp_compliance.enqueued_configs.clear()
    # DeepSpeech2 is not in the list of MLPerf's current benchmarks, so every log of ours breaks that one rule.
    assert "in ['flux1'" in checker.overwritable.pop("submission_benchmark")
    return bool(checker.has_messages())


@pytest.mark.usefixtures("rules_read_once")
def test_what_the_official_rules_refuse_ours_refuse(good_log: Any, check: Any) -> None:
    """Damage every official key with values of every kind and without its metadata."""
    good = good_log()
    assert not refused_by_the_official_rules(good)
    official = key_records(OFFICIAL / "common.yaml") | key_records(OFFICIAL / "closed_common.yaml")
    keys = sorted(official.keys() & {key for _, key, _ in good.records()} - {"submission_benchmark"})
    damaged = [(key, good.without_metadata(key)) for key in keys]
    for key, value in itertools.product(keys, (None, "", "word", 0, -1, 1.5, [], math.nan)):
        damaged.append((f"{key}={value}", good.edited(key, value=value)))
    refused = [(name, lines) for name, lines in damaged if refused_by_the_official_rules(lines)]
    assert len(refused) > 50
    assert [name for name, lines in refused if not check(lines)] == []


def test_every_line_has_a_rule_and_every_test_says_what_it_refuses(good_log: Any) -> None:
    ours = key_records(RULES / "common.yaml")
    lamb = dataclasses.replace(
        params.reference(), optimizer=dataclasses.replace(params.reference().optimizer, name="lamb")
    )
    written = {key for preset in (*params.PRESETS, "augmented", lamb) for _, key, _ in good_log(preset).records()}
    assert written == ours.keys() - {"block_start", "block_stop"}
    for name, record in ours.items():
        tests = record["CHECK"] if isinstance(record["CHECK"], list) else [record["CHECK"]]
        assert all("  # " in test for test in tests), name
