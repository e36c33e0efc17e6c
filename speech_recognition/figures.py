"""Matplotlib figures that look the same whatever the user's matplotlib settings are."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any


@contextmanager
def new_figure(width: float, height: float, style: Any = MappingProxyType({})) -> Iterator[Any]:
    """Yield a figure of `width` x `height` inches, to be drawn and saved in the block, with the rcParams `style`."""
    # Imported here: matplotlib takes longer to load than everything else but torch, and only a run's end needs it.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # else it warns of a home folder that it cannot write
    os.environ.pop("MPLBACKEND", None)  # matplotlib refuses to load with an unknown backend; a Figure needs none
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as a letter that the font lacks
        matplotlib.rcdefaults()  # not the settings of a matplotlibrc, which may lie in the current folder
        # Else a folder's name with two dollar signs would be read as a formula.
        matplotlib.rcParams["text.parse_math"] = False
        matplotlib.rcParams.update(style)
        yield Figure(figsize=(width, height), layout="constrained")
