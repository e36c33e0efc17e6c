"""Tests of what a run of LoadGen is to do, and of the settings that it reads."""

from typing import Any

import pytest

from speech_recognition.errors import InputError
from speech_recognition.inference.loadgen_plan import Plan, user_conf


def plan(scenario: str, **changes: Any) -> Plan:
    values: dict[str, Any] = dict(mode="performance", official=False, utterances=180, batch_size=32)
    return Plan(scenario=scenario, **values | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scenario", "queries", "speed"),
    [
        ("SingleStream", 64, ("target_latency", 4)),  # 20 ms an utterance; LoadGen is told a fifth of it
        ("MultiStream", 662, ("target_latency", 32)),
        ("Offline", 64, ("target_qps", 100)),
        ("Server", 662, ("target_qps", 35)),
    ],
)
def test_a_short_run_says_so_and_has_the_least_queries(scenario: str, queries: int, speed: tuple[str, float]) -> None:
    chosen = plan(scenario).settings(50)
    assert chosen["min_query_count"] == queries and chosen["min_duration"] == 1000
    assert chosen[speed[0]] == pytest.approx(speed[1])
    assert plan(scenario).label == f"{scenario}, unofficial short run"
    assert plan(scenario, mode="accuracy").label == f"{scenario}, accuracy"


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Offline", "Server"])
def test_an_official_run_leaves_the_duration_to_mlperf(scenario: str) -> None:
    official = plan(scenario, official=True)
    assert "min_duration" not in official.settings(50)
    assert official.label == f"{scenario}, official duration"
    assert official.samples(50) >= 600 * 35


def test_an_official_offline_run_has_the_whole_manifest_in_its_query() -> None:
    assert plan("Offline", official=True).settings(50)["min_query_count"] == 180
    assert plan("Offline", official=True, utterances=300_000).settings(50)["min_query_count"] == 24_576


def test_a_given_rate_replaces_the_measured_one() -> None:
    for scenario in ("Offline", "Server"):
        assert plan(scenario, target_qps=7.5).settings(50)["target_qps"] == 7.5


def test_a_rate_is_refused_where_queries_wait_for_the_answer_before() -> None:
    with pytest.raises(InputError, match=r"^--target-qps: MultiStream has no rate of its own"):
        plan("MultiStream", target_qps=3)


def test_the_file_names_model_and_scenario_on_every_line() -> None:
    comment, *lines = user_conf(plan("Server"), 50).splitlines()
    assert comment.startswith("# Server, unofficial short run; ")
    assert sorted(lines) == [
        "deepspeech2.Server.min_duration = 1000",
        "deepspeech2.Server.min_query_count = 662",
        "deepspeech2.Server.target_latency = 1000",
        "deepspeech2.Server.target_qps = 35",
    ]


@pytest.mark.parametrize("utterances", [1, 5, 16, 180, 5000])
@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Offline", "Server"])
def test_the_speed_is_measured_on_short_and_long_utterances(scenario: str, utterances: int) -> None:
    batches = plan(scenario, utterances=utterances).timed_batches()
    indices = [index for batch in batches for index in batch]
    assert set(indices) <= set(range(utterances))
    assert sum(indices) / len(indices) == pytest.approx((utterances - 1) / 2, abs=max(1, utterances / 10))
    sizes = {"SingleStream": 1, "MultiStream": 8, "Offline": min(32, utterances), "Server": 1}
    assert max(map(len, batches)) == sizes[scenario]


def test_the_expected_number_of_utterances_counts_every_stream() -> None:
    assert plan("MultiStream").samples(50) == 662 * 8
    assert plan("SingleStream").samples(500) == 500
    assert plan("Server", mode="accuracy").samples(50) == 180
