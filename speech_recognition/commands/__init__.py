"""The commands: each adds its parser, calls a function of the package, prints.

Every command imports what it needs when it runs: `--help` and `verify` do not wait for torch.
"""

import argparse
from pathlib import Path
from typing import TypeAlias

import params

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""Object to which a command adds its parser."""

ROOT = Path(params.__file__).resolve().parent
"""Root of the repository: the default place of datasets, results and reference checksums."""

WIDTH = 100
"""Columns of a help text."""

REFERENCES = ROOT / "reference_checksums"
"""Folder of the pinned checksums."""
