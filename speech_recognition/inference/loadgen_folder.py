"""The folder of LoadGen's results, in the layout that MLPerf inference's submission checker reads.

<output>/mlperf_log_summary.txt                                             of the latest performance run
<output>/open/<org>/systems/<platform>.json
<output>/open/<org>/model_mapping.json
<output>/open/<org>/src/README.md
<output>/open/<org>/results/<platform>/deepspeech2/<scenario>/{user.conf,measurements.json,README.md}
<output>/open/<org>/results/<platform>/deepspeech2/<scenario>/performance/run_1/mlperf_log_{summary,detail}.txt
<output>/open/<org>/results/<platform>/deepspeech2/<scenario>/accuracy/{mlperf_log_accuracy.json,accuracy.txt,...}

The division is open: DeepSpeech2 is no benchmark of MLPerf inference. The checker takes it for Whisper, the benchmark
with the same task, as model_mapping.json says.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.evaluation import Evaluation
from speech_recognition.files import atomic_folder, atomic_write
from speech_recognition.inference.loadgen import USER_CONF, Library, measured_speed, run
from speech_recognition.inference.loadgen_plan import MODEL, Plan, user_conf
from speech_recognition.inference.loadgen_results import SUMMARY, Verdict, read_accuracy, read_verdict, write_accuracy
from speech_recognition.mlperf import system
from speech_recognition.parameters import SubmissionParams
from speech_recognition.recognizer import AnyRecognizer

DIVISION = "open"

_AVAILABILITY = {"onprem": "available", "cloud": "available", "research": "rdi", "preview": "preview"}
"""Value of the system's `status` for each value of `submission.status`."""

_TRANSFORMATIONS = {
    "fp32": "none",
    "tf32": "none; products in TF32",
    "bf16": "rounded to bfloat16 when they are loaded",
    "int8": "recurrent weights quantised to 8-bit integers when they are loaded",
}
"""What happens to the weights in each precision, for measurements.json."""

_README = """\
# DeepSpeech2, {scenario}

Last run: {label}, precision {precision}, at most {batch_size} utterances in a batch.

    python -m speech_recognition benchmark CHECKPOINT MANIFEST --scenario {scenario} --mode {mode} \\
        --precision {precision} --batch-size {batch_size}{options} --output-dir DIR

- CHECKPOINT: `{weights}`, SHA-256 {digest}
- MANIFEST: `{manifest}`, {utterances} utterances
- code: {code}
"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Model, data and machine of a measurement, for the facts beside the logs."""

    checkpoint: Path
    """File of the model."""
    manifest: Path
    """File that lists the utterances."""
    precision: str
    """Precision of the products."""
    system: system.Description
    """Description of this machine."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A run that has ended, with its result."""

    plan: Plan
    """What was to be done."""
    logs: Path
    """Folder of LoadGen's logs."""
    result: Verdict | Evaluation
    """Verdict of a performance run; transcripts and scores of an accuracy run."""


def describe(
    submission: SubmissionParams, device: torch.device, storage: Path, completion: Path | None
) -> system.Description:
    """Return the description of this machine that MLPerf inference asks for.

    `storage` is a path on the disk with the data; the values in the JSON file `completion` replace those that were read
    from the machine. Raises InputError if the file cannot be read, or if org or platform cannot name a folder.
    """
    described = system.describe(vars(submission), nodes=1, gpus=int(device.type == "cuda"), storage=storage)
    described |= {
        "division": DIVISION,
        "status": _AVAILABILITY[submission.status],
        "system_type": described["system_type"] or "edge",  # MLPerf inference accepts no other value
        "system_type_detail": "",
    }
    if completion:
        described = system.completed(described, completion)
    for field, parameter in (("submitter", "submission.org"), ("system_name", "submission.platform")):
        system.check_name(described[field], f"{parameter} ({field} in --system)")
    return described


def benchmark(
    recognizer: AnyRecognizer, utterances: Sequence[Utterance], plan: Plan, subject: Subject, output: Path
) -> Done:
    """Make one run of LoadGen in this process, with its folder below `output`, and return what came of it.

    Raises InputError for audio that cannot be read, and as `loadgen.run` does.
    """
    submission = output / DIVISION / subject.system["submitter"]
    platform = subject.system["system_name"]
    scenario = submission / "results" / platform / MODEL / plan.scenario
    logs = scenario / ("accuracy" if plan.mode == "accuracy" else "performance/run_1")
    library = Library(utterances)
    result: Verdict | Evaluation
    with atomic_folder(logs) as partial:
        speed = measured_speed(recognizer, library, plan)
        (partial / USER_CONF).write_text(user_conf(plan, speed), encoding="utf-8")
        run(recognizer, library, plan, partial, plan.samples(speed))
        if plan.mode == "accuracy":
            result = read_accuracy(partial, utterances)
            write_accuracy(partial, result)
        else:
            result = read_verdict(partial, plan)
            shutil.move(partial / USER_CONF, scenario / USER_CONF)
            _put(output / SUMMARY, (partial / SUMMARY).read_text(encoding="utf-8"))
    _put(scenario / "measurements.json", _json(_measurements(subject)))
    _put(scenario / "README.md", _readme(plan, subject))
    _put(submission / "systems" / f"{platform}.json", _json(subject.system))
    _put(submission / "model_mapping.json", _json({MODEL: "whisper"}))
    _put(submission / "src" / "README.md", f"The code of these results: {subject.system['sw_notes']}\n")
    return Done(plan=plan, logs=logs, result=result)


def _measurements(subject: Subject) -> dict[str, str]:
    """Return the fields of measurements.json, none of which may be empty."""
    return {
        "input_data_types": "int16",
        "retraining": "no",
        "starting_weights_filename": subject.checkpoint.name,
        "weight_data_types": subject.precision,
        "weight_transformations": _TRANSFORMATIONS[subject.precision],
    }


def _readme(plan: Plan, subject: Subject) -> str:
    """Return the text of the scenario's README.md: what ran last, and the command that repeats it."""
    with subject.checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _README.format(
        scenario=plan.scenario,
        mode=plan.mode,
        label=plan.label,
        precision=subject.precision,
        batch_size=plan.batch_size,
        options=(" --official" if plan.official else "")
        + (f" --target-qps {plan.target_qps:g}" if plan.target_qps else ""),
        weights=subject.checkpoint.name,
        digest=digest,
        manifest=subject.manifest.name,
        utterances=plan.utterances,
        code=subject.system["sw_notes"],
    )


def _json(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"


def _put(path: Path, text: str) -> None:
    """Write a text file whole or not at all; a missing folder is made."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")
