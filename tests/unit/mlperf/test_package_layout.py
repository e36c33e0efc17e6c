"""The names in a submission's folder, against those in the MLPerf submission rules."""

from pathlib import Path

from speech_recognition.mlperf.package_layout import Layout


def test_the_names_are_those_of_the_submission_rules() -> None:
    layout = Layout(Path("org"), "box", "deepspeech2")
    paths = [layout.system, layout.results.result(3), layout.scaling, layout.code, layout.own.path]
    assert [str(path) for path in paths] == [
        "org/systems/box.json",
        "org/results/box/deepspeech2/result_3.txt",
        "org/results/box/deepspeech2/scaling.json",
        "org/benchmarks/deepspeech2/implementations/speech_recognition",
        "org/benchmarks/deepspeech2/implementations/box",
    ]
    assert layout.at(Path("partial")).system == Path("partial/systems/box.json")
