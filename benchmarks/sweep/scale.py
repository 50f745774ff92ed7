"""How many agents a backend stands: each reports its epochs back to back, with no training between.

    python benchmarks/sweep/scale.py postgresql://USER:PASSWORD@HOST/DATABASE --agents 8 32 128
    python benchmarks/sweep/scale.py postgresql://… --serve --agents 8 32 128

Prints one row of a Markdown table for each number of agents. With --serve the agents reach the
database through `detsweep sweep serve`, which this starts. A real agent reports once in minutes, so
the figures say what happens in the worst second of a day.
"""

import argparse
import contextlib
import logging
import multiprocessing
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from typing import ParamSpec, TypeVar

import detector.sweep.backends.optuna  # noqa: F401  # imported once, for agents that are forked
import detector.sweep.backends.storages  # noqa: F401
from detector.patience import DEFAULT_PATIENCE_S
from detector.sweep.opening import open_backend
from detector.sweep.protocol import Idle
from detector.sweepfile.spec import read_sweep

SWEEP = """
method: random
metric: {name: score, goal: maximize}
run_cap: %d
parameters: {lr: {min: 0.0, max: 1.0}}
"""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Timings:
    """What one agent measured, in seconds."""

    claims: list[float] = field(default_factory=list)
    reports: list[float] = field(default_factory=list)
    silences: int = 0
    error: str | None = None


def main() -> None:
    """Measure each number of agents, and print a row of the table for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the backend")
    parser.add_argument("--serve", action="store_true", help="put the gRPC proxy in front of it")
    parser.add_argument("--agents", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--epochs", type=int, default=10, help="of each trial; one trial an agent")
    args = parser.parse_args()
    print(
        "| backend | agents | epochs/s | report median / p99 ms | claim median / max ms |", end=""
    )
    print(" epochs lost | unanswered | errors |\n|---|---|---|---|---|---|---|---|")
    for agents in args.agents:
        with proxy(args.url) if args.serve else contextlib.nullcontext(args.url) as url:
            print(row(url, agents, args.epochs), flush=True)


def row(url: str, agents: int, epochs: int) -> str:
    """One row of the table: a new sweep, and how its agents fared."""
    sweep = open_in_child(url, SWEEP % agents)
    begun = time.monotonic()
    results = crowd(url, sweep, agents, epochs)
    seconds = time.monotonic() - begun
    reports = [value for result in results for value in result.reports] or [float("nan")]
    claims = [value for result in results for value in result.claims] or [float("nan")]
    errors = [result.error for result in results if result.error]
    for text in sorted(set(errors)):
        print(f"{errors.count(text)} x {text}", file=sys.stderr)
    cells = [
        url.partition(":")[0],
        agents,
        f"{len(reports) / seconds:.0f}",
        f"{1000 * statistics.median(reports):.0f} / {1000 * percentile(reports, 0.99):.0f}",
        f"{1000 * statistics.median(claims):.0f} / {1000 * max(claims):.0f}",
        f"{agents * epochs - len(reports)} of {agents * epochs}",
        sum(result.silences for result in results),
        len(errors),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def open_in_child(url: str, sweep: str) -> str:
    """The id of a new sweep. gRPC must not be used in a process that forks later."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(create, [url, sweep])


def create(url: str, sweep: str) -> str:
    """The id of a new sweep."""
    return open_backend(url).create(read_sweep(sweep, "scale.py")).id


def crowd(url: str, sweep: str, agents: int, epochs: int) -> list[Timings]:
    """Have the agents work from one moment on; what each measured."""
    if sys.platform == "win32":
        raise OSError("the agents are forked, which Windows cannot")
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    together = context.Barrier(agents)
    processes = [
        context.Process(target=work, args=(url, sweep, f"a{n}", epochs, together, results.put))
        for n in range(agents)
    ]
    for process in processes:
        process.start()
    timings = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return timings


def work(
    url: str,
    sweep: str,
    name: str,
    epochs: int,
    together: Barrier,
    report: Callable[[Timings], None],
) -> None:
    """One agent, from the moment that all begin."""
    timings = Timings()
    counter = SilenceCounter()
    backends = logging.getLogger("detector.sweep.backends")
    backends.addHandler(counter)
    backends.propagate = False
    try:
        together.wait()
        joined = open_backend(url, patience_seconds=DEFAULT_PATIENCE_S).open(sweep)
        while not isinstance(trial := timed(timings.claims, joined.claim, name), Idle):
            for epoch in range(1, epochs + 1):
                timed(timings.reports, trial.report, epoch, epoch / 10)
            trial.finish()
    except Exception as error:
        timings.error = f"{type(error).__name__}: {error}".replace("\n", " ")
    timings.silences = counter.count
    report(timings)


class SilenceCounter(logging.Handler):
    """Counts how often the storage did not answer and was asked again."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        """Count a line that says that the storage did not answer."""
        self.count += 1


def timed(into: list[float], call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What a call returns; how long it took goes into a list."""
    begun = time.monotonic()
    result = call(*args, **kwargs)
    into.append(time.monotonic() - begun)
    return result


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@contextlib.contextmanager
def proxy(database: str) -> Iterator[str]:
    """A proxy of a database, while it is needed; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from detector.cli.main import run; run()", "sweep", "serve"]
    process = subprocess.Popen(
        [*command, f"--backend={database}", f"--port={port}"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
