"""What a run of LoadGen tests, and the settings that it reads from user.conf.

Everything that user.conf leaves out is MLPerf's own: LoadGen carries mlperf.conf with the seeds of its random numbers,
the percentiles, and durations of 600 s.
"""

from dataclasses import dataclass
from typing import Literal

from speech_recognition.errors import InputError
from speech_recognition.orders import spread

Scenario = Literal["SingleStream", "MultiStream", "Offline", "Server"]
"""SingleStream: one utterance after the other; MultiStream: 8 at a time; Offline: all at once; Server: each at a random
moment, to be answered within a second."""

Mode = Literal["performance", "accuracy"]
"""performance: utterances drawn at random for a time; accuracy: each utterance of the manifest, for the WER."""

MODEL = "deepspeech2"
"""Name of the benchmark in user.conf and in the folder of the results."""

SERVER_MILLISECONDS = 1000
"""Latency within which Server wants 99% of the answers: that of RNN-T in MLPerf inference, the same task."""

STREAMS = 8
"""Utterances in a query of MultiStream, from mlperf.conf."""

_OFFICIAL_SECONDS, _SHORT_SECONDS = 600, 1

_QUERIES = {"SingleStream": 64, "MultiStream": 662, "Offline": 64, "Server": 662}
"""Least queries (Offline: utterances) of a run. LoadGen's estimate of a percentile needs 64 for 90% and 662 for 99%;
Server, where 459 would do, has room for one late answer."""

_MOST_OFFLINE = 24_576
"""Most utterances that Offline's one query has to have: the whole manifest, if it has no more."""

_LOAD = 0.7
"""Fraction of the measured speed at which Server's queries arrive. At 1 their queue would grow without end."""

_SPARE = {"SingleStream": 5.0, "MultiStream": 5.0, "Offline": 2.0}
"""Factor by which the speed that LoadGen is told to expect exceeds the measured one. LoadGen makes queries for that
speed, and a run that uses them up too early is not valid. Unused queries cost nothing but Offline's, which are one."""

_TIMED, _TIMED_BATCHES = 16, 3
"""Utterances whose speed is measured before the run; for Offline, batches."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run of LoadGen."""

    scenario: Scenario
    """How queries arrive."""
    mode: Mode
    """What is measured."""
    official: bool
    """Whether the run lasts as long as MLPerf asks."""
    utterances: int
    """Utterances in the manifest."""
    batch_size: int
    """Most utterances that are computed together."""
    target_qps: float | None = None
    """Utterances per second that Server sends, or that Offline is told to expect; None: from the measured speed."""

    def __post_init__(self) -> None:
        if self.target_qps is not None and self.scenario not in ("Offline", "Server"):
            raise InputError(f"--target-qps: {self.scenario} has no rate of its own; leave it out")

    @property
    def label(self) -> str:
        """Name of the run for people, which says whether the duration of a performance run is MLPerf's."""
        if self.mode == "accuracy":
            return f"{self.scenario}, accuracy"
        return f"{self.scenario}, {'official duration' if self.official else 'unofficial short run'}"

    @property
    def streams(self) -> int:
        """Utterances in a query; Offline has a single query, of as many as fit its duration."""
        return STREAMS if self.scenario == "MultiStream" else 1

    def timed_batches(self) -> list[list[int]]:
        """Return the batches, of indices into the manifest, whose speed is measured before the run.

        They are spread evenly over the manifest, which is sorted by length.
        """
        if self.scenario == "Offline":
            starts = range(0, self.utterances, self.batch_size)
            chosen = dict.fromkeys(spread(starts, _TIMED_BATCHES))
            return [list(range(start, min(start + self.batch_size, self.utterances))) for start in chosen]
        indices, batches = spread(range(self.utterances), _TIMED), _TIMED // self.streams
        return [indices[first::batches] for first in range(batches)]

    def settings(self, per_second: float) -> dict[str, float]:
        """Return the lines of user.conf by key. `per_second` is the measured speed, in utterances."""
        chosen: dict[str, float] = {"min_query_count": self._least_queries}
        if not self.official:
            chosen["min_duration"] = 1000 * _SHORT_SECONDS
        if self.scenario == "Server":
            chosen["target_latency"] = SERVER_MILLISECONDS
            chosen["target_qps"] = self.target_qps or _LOAD * per_second
        elif self.scenario == "Offline":
            chosen["target_qps"] = self.target_qps or _SPARE[self.scenario] * per_second
        else:
            chosen["target_latency"] = 1000 * self.streams / (_SPARE[self.scenario] * per_second)
        return chosen

    def samples(self, per_second: float) -> int:
        """Return how many utterances the run takes at the measured speed `per_second`, about."""
        if self.mode == "accuracy":
            return self.utterances
        rate = self.settings(per_second).get("target_qps", per_second)
        timed = rate * (_OFFICIAL_SECONDS if self.official else _SHORT_SECONDS)
        return max(self._least_queries * self.streams, round(timed))

    @property
    def _least_queries(self) -> int:
        if self.scenario == "Offline" and self.official:
            return min(self.utterances, _MOST_OFFLINE)
        return _QUERIES[self.scenario]


def user_conf(plan: Plan, per_second: float) -> str:
    """Return the text of user.conf for a run of a recognizer with the measured speed `per_second`, in utterances."""
    lines = [f"# {plan.label}; times in milliseconds; MLPerf's least duration is {1000 * _OFFICIAL_SECONDS}"]
    lines += [f"{MODEL}.{plan.scenario}.{key} = {value:g}" for key, value in plan.settings(per_second).items()]
    return "\n".join(lines) + "\n"
