"""Tests that the README and docs/ agree with the repository: paths, commands, options and numbers."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import params
from speech_recognition.cli import main
from speech_recognition.commands import ROOT
from speech_recognition.corpus.mini.plan import planned_utterances
from speech_recognition.model import DeepSpeech2

DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
}
README, BENCHMARK = DOCUMENTS["README.md"], DOCUMENTS["docs/BENCHMARK.md"]


def commands() -> list[str]:
    """Return every line of the shell blocks in the README and docs/."""
    blocks = [block for text in DOCUMENTS.values() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    return [line for block in blocks for line in block.splitlines()]


def tree() -> set[str]:
    """Return the paths in the file tree of docs/HOUSE.md."""
    block = DOCUMENTS["docs/HOUSE.md"].split("## The files", 1)[1].split("```")[1]
    paths, folders = set(), []
    for line in block.strip("\n").splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 4, line.split()[0]
        folders[depth:] = [name]
        paths.add("".join(folders))
    return paths


def test_the_tree_names_every_folder_and_every_file_of_the_core() -> None:
    package = ROOT / "speech_recognition"
    modules = {path for path in package.glob("*.py") if path.name != "__init__.py"}
    folders = {path.parent for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    there = {path.relative_to(ROOT).as_posix() for path in modules}
    there |= {f"{path.relative_to(ROOT).as_posix()}/" for path in folders}
    assert {path for path in tree() if path.startswith("speech_recognition/")} == there


def test_what_the_tree_names_is_there() -> None:
    assert not [path for path in tree() if not (ROOT / path).exists()]


def test_a_newcomer_reads_the_readme() -> None:
    lines = README.splitlines()
    assert len(lines) <= 220
    assert "whole of LibriSpeech" in " ".join(lines[:15]) and "GPU" in " ".join(lines[:15])


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_links_lead_to_files(name: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", DOCUMENTS[name])
    assert not [target for target in targets if not ((ROOT / name).parent / target).is_file()]


def test_the_table_of_layers_is_the_models() -> None:
    with torch.device("meta"):
        model = DeepSpeech2(params.reference().model, params.reference().features.bins)
    rows = re.findall(r"^\| ([a-z]+(?:\.\d)?) \|.*\| ([\d,]+) \|$", BENCHMARK, re.MULTILINE)
    table = {name: int(count.replace(",", "")) for name, count in rows}
    assert table.pop("all") == sum(weight.numel() for weight in model.parameters())
    assert table.pop("features") == 0
    counted = {name: 0 for name in table}
    for name, weight in model.named_parameters():
        layer = name.split(".")[0]
        counted[layer if layer in counted else ".".join(name.split(".")[:2])] += weight.numel()
    assert table == counted


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_paths_that_the_text_names_are_there(name: str) -> None:
    prose = re.sub(r"```.*?```", "", DOCUMENTS[name], flags=re.DOTALL)
    names = set(re.findall(r"`([\w./]+\.(?:py|sh|lock|md|yaml|sbatch))`", prose))
    places = [ROOT, ROOT / "docs", ROOT / "speech_recognition", ROOT / "benchmarks"]
    assert not [each for each in names if not any((place / each).exists() for place in places)]


@pytest.mark.parametrize("line", [line for line in commands() if re.search(r"\bsh \S+\.sh", line)])
def test_the_scripts_of_the_commands_answer_h(line: str) -> None:
    script = re.search(r"\bsh (\S+\.sh)", line)
    assert script
    result = subprocess.run(["sh", ROOT / script[1], "-h"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and result.stdout.startswith("usage: sh ") and result.stderr == ""


def of_the_package(line: str) -> list[str]:
    """Return the package's command and options in a shell line; [] if the line does not call the package."""
    words = line.partition(" |")[0].split()
    if "speech_recognition" in words and "-m" in words:
        return words[words.index("speech_recognition") + 1 :]
    scripts = ("run_and_time.sh", "script/train.sh", "script/slurm.sbatch")
    place = next((place for place, word in enumerate(words) if word in scripts), None)
    return [] if place is None else ["train", *words[place + 1 :]]


@pytest.mark.parametrize("line", sorted({line for line in commands() if of_the_package(line)}))
def test_the_options_of_the_commands_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = of_the_package(line)
    with pytest.raises(SystemExit, match="0"):
        main([words[0], "--help"])
    listed = capsys.readouterr().out
    assert [word for word in words if word.startswith("--") and word not in listed] == []
    fields = {word.partition("=")[0] for before, word in itertools.pairwise(words) if before == "--set"}
    if fields:  # the help of `train` alone lists the parameters
        with pytest.raises(SystemExit, match="0"):
            main(["train", "--help"])
        listed = capsys.readouterr().out
    assert [name for name in fields if f"{name}=" not in listed] == []


@pytest.mark.parametrize("line", [line for line in commands() if "--nnodes" in line])
def test_commands_for_several_nodes_say_where_they_meet(line: str) -> None:
    assert all(option in line for option in ("--rdzv-backend", "--rdzv-endpoint", "--rdzv-id"))


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("[a-z]*.py")), ids=lambda path: path.name)
def test_the_benchmarks_answer_h_and_the_readme_names_them(path: Path) -> None:
    result = subprocess.run([sys.executable, path, "-h"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and result.stdout.startswith("usage: ")
    assert any(line.startswith(f"python benchmarks/{path.name}") for line in commands())


def test_every_section_of_results_has_its_command_its_date_and_its_commit() -> None:
    sections = DOCUMENTS["docs/RESULTS.md"].split("\n### ")[1:]
    made = re.compile(r"^\*\d+ [A-Z][a-z]+ 20\d\d, commits? [0-9a-f]{7}\b.*\*$", re.MULTILINE)
    lacking = [each.partition("\n")[0] for each in sections if "```sh\n" not in each or not made.search(each)]
    assert len(sections) > 10 and lacking == ["Scripts without figures here"]


def test_the_readmes_numbers_of_the_embedded_corpus_are_its_plans() -> None:
    utterances = planned_utterances()
    words = {word for each in utterances for word in each.transcript.split()}
    counts = {len(each.transcript.split()) for each in utterances}
    speakers = {each.speaker.number for each in utterances}
    assert (min(counts), max(counts)) == (2, 5)
    text = " ".join(BENCHMARK.split())
    assert f"`mini`: {len(utterances):,} sentences of two to five words out of {len(words)}" in text
    assert f"spoken by {len(speakers)} synthetic speakers" in text
