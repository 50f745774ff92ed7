"""What every benchmark here has in common: turns taken in one process, and one table at the end.

A benchmark builds its pages from a seed, checks that its contenders agree, and hands them to
`compare`. Nothing here asserts a timing: the table is for a person to read.
"""

import importlib
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import cv2
import psutil
import torch
from rich.console import Console
from rich.table import Table

console = Console(width=None if Console().is_terminal else 120)

_LIBRARIES = ("numpy", "opencv-python-headless", "numba", "torch")


@dataclass(frozen=True)
class Contender:
    """One implementation of the benchmark's work.

    Attributes:
        name: its name in the table, with its version if it is a peer.
        run: does the work of one page; this is what is timed.
        prepare: makes what `run` takes from a page, before every round and untimed: for inputs of
            the implementation's own form, or that it changes.
    """

    name: str
    run: Callable[[Any], object]
    prepare: Callable[[Any], Any] = lambda page: page


@dataclass(frozen=True)
class Timing:
    """Milliseconds per page of one contender: of each round, the mean over its pages."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The round in the middle."""
        return median(self.rounds)


def find_peer(module: str, distribution: str) -> ModuleType | None:
    """Import a peer, or say that it is skipped because it is not installed.

    >>> find_peer("json", "the standard library").dumps([])
    '[]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        console.print(
            f"skipped {distribution}: {error}; install the peers with: pip install -e '.[bench]'",
            markup=False,
        )
        return None


def version(distribution: str) -> str:
    """A distribution's name with its installed version: "numpy 2.4.6"."""
    return f"{distribution} {metadata.version(distribution)}"


def use_threads(count: int) -> None:
    """Let OpenCV and torch use this many threads, so that peers and detsweep use the same."""
    cv2.setNumThreads(count)
    torch.set_num_threads(count)


def compare(
    title: str,
    pages: Sequence[Any],
    ours: Sequence[Contender],
    peers: Sequence[Contender],
    *,
    rounds: int = 7,
    unit: str = "page",
) -> dict[str, Timing]:
    """Time the contenders in turns and print their table; return the timings by name.

    Args:
        title: what is compared, in a few words.
        pages: the workload, one item per call.
        ours: what the ratios are of.
        peers: what the ratios are to; may be empty.
        rounds: sweeps over all pages of each contender, after one to warm up.
        unit: what one item of the workload is.
    """
    timings = take_turns(pages, [*peers, *ours], rounds)
    console.print()
    console.print(_table(title, timings, ours, peers, unit))
    console.print(_circumstances(len(pages), unit, rounds), style="dim", markup=False)
    return timings


def take_turns(
    pages: Sequence[Any], contenders: Sequence[Contender], rounds: int
) -> dict[str, Timing]:
    """Warm each contender up, then time one after the other, round after round.

    A load that comes and goes on the machine so meets them all alike.
    """
    taken: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for contender in contenders:
        _round(contender, pages)
    for _ in range(rounds):
        for contender in contenders:
            taken[contender.name].append(_round(contender, pages))
    return {name: Timing(tuple(each)) for name, each in taken.items()}


def _round(contender: Contender, pages: Sequence[Any]) -> float:
    """Milliseconds per page of one sweep over all pages."""
    inputs = [contender.prepare(page) for page in pages]
    started = time.perf_counter()
    for page in inputs:
        contender.run(page)
    return 1000 * (time.perf_counter() - started) / len(pages)


def _table(
    title: str,
    timings: dict[str, Timing],
    ours: Sequence[Contender],
    peers: Sequence[Contender],
    unit: str,
) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("")
    for name in ("median", "min", "max"):
        table.add_column(f"{name}\nms/{unit}", justify="right")
    for peer in peers:
        table.add_column(f"times as fast\nas {peer.name}", justify="right")
    our_names = {contender.name for contender in ours}
    for name, timing in timings.items():
        figures = (timing.median, min(timing.rounds), max(timing.rounds))
        ratios = [f"{timings[peer.name].median / timing.median:.2f}" for peer in peers]
        table.add_row(
            name,
            *(f"{figure:.3f}" for figure in figures),
            *(ratios if name in our_names else [""] * len(ratios)),
            style="bold" if name in our_names else "",
        )
    return table


def _circumstances(pages: int, unit: str, rounds: int) -> str:
    """What the figures depend on: the workload's size, the day, the machine and the libraries."""
    libraries = ", ".join(version(distribution) for distribution in _LIBRARIES)
    return (
        f"{rounds} rounds over {pages} {unit}s, after one to warm up; "
        f"threads: OpenCV {cv2.getNumThreads()}, torch {torch.get_num_threads()}\n"
        f"{datetime.now(UTC):%Y-%m-%d}, {_cpu()}, {os.cpu_count()} cores, "
        f"load {psutil.getloadavg()[0]:.1f}\n"
        f"Python {platform.python_version()}, {libraries}"
    )


def _cpu() -> str:
    """The processor's model, as Linux names it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
