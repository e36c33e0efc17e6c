"""Packages of the extra `inference`, which only some commands need."""

import importlib.util

from speech_recognition.errors import InputError

_MODULES = {
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "safetensors": "safetensors",
    "flashlight-text": "flashlight.lib.text",
    "mlcommons-loadgen": "mlperf_loadgen",
}
"""Module of each package by the name under which pip installs it."""


def check_installed(package: str, purpose: str) -> None:
    """Raise InputError, which begins with `purpose` (a file or an option), if a package is missing."""
    try:
        found = importlib.util.find_spec(_MODULES[package]) is not None
    except ModuleNotFoundError:  # its parent is missing too
        found = False
    if not found:
        raise InputError(f"{purpose}: needs {package}, which is not installed; pip install {package}")
