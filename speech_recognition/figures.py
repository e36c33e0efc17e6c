"""Matplotlib figures that nothing around the program changes, and that read no name as a formula."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any


@contextmanager
def new_figure(width: float, height: float, style: Any = MappingProxyType({})) -> Iterator[Any]:
    """Give a figure of this size in inches, to be drawn and saved in the block; `style` as matplotlib's settings."""
    # Imported here: matplotlib takes longer to load than all of the rest but torch, and only the end needs it.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a home that cannot be written is no matter
    os.environ.pop("MPLBACKEND", None)  # matplotlib does not load with an unknown one, and a Figure needs none
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font lacks
        matplotlib.rcdefaults()  # a matplotlibrc in the current folder may be somebody else's
        # Text with two dollar signs, such as a folder's name, is no formula.
        matplotlib.rcParams["text.parse_math"] = False
        matplotlib.rcParams.update(style)
        yield Figure(figsize=(width, height), layout="constrained")
