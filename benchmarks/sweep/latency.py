"""How long one suggestion takes, by the number of trials that have ended.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.sweep.latency
        [--trials N ...] [--suggestions N]

It is the processor's time, so that a busy machine does not change it; with one thread it is what a
core of one's own would take. The trials ended as they do in a sweep: most of them early.
"""

import argparse
import time

import numpy as np
from rich.table import Table

from benchmarks.harness import console, find_peer
from benchmarks.sweep.engines import ENGINES
from benchmarks.sweep.problems import EPOCHS, DetectorTraining
from detector.sweepfile import space

_LENGTHS = (2, 2, 4, EPOCHS)


def main() -> None:
    """Time every engine that is installed, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep.latency")
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--suggestions", type=int, default=9)
    options = parser.parse_args()
    table = Table(title="Milliseconds of one core for one suggestion")
    for column in ("engine", "trials", "median", "longest"):
        table.add_column(column)
    for name in ENGINES:
        if name == "w&b" and not find_peer("sweeps", "sweeps"):
            continue
        for trials in options.trials:
            taken = _time(name, trials, options.suggestions)
            table.add_row(name, str(trials), f"{np.median(taken):.0f}", f"{max(taken):.0f}")
    console.print(table)


def _time(name: str, trials: int, suggestions: int) -> list[float]:
    problem = DetectorTraining(seed=0, salt=1)
    engine = ENGINES[name](problem, seed=0)
    rng = np.random.default_rng(0)
    for _ in range(trials):
        point = space.draw(problem.space, rng)
        values = problem.observe(space.values(problem.space, point), rng)
        engine.remember(point, values[: rng.choice(_LENGTHS)])
    taken = []
    for number in range(trials, trials + suggestions):
        begun = time.process_time()
        params = engine.ask(number)
        taken.append(1000 * (time.process_time() - begun))
        for value in problem.observe(params, rng)[: rng.choice(_LENGTHS)]:
            engine.report(number, float(value))
        engine.end(number)
    return taken


if __name__ == "__main__":
    main()
