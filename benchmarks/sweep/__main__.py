"""Compare the engines on made-up or recorded trainings, and print how far each came.

    python -m benchmarks.sweep [--set detector|analytic] [--problems N] [--first N] [--salt N]
        [--seeds N] [--budget EPOCHS] [--results FILE]
    python -m benchmarks.sweep --curves FOLDER [--tasks ID …] [--seeds N] [--first-seed N]
        [--budget EPOCHS] [--results FILE]

Sweeps that `--results` (JSON lines) holds already are not run again.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.harness import console, find_peer
from benchmarks.sweep.compare import Key, compare, epochs
from benchmarks.sweep.engines import ENGINES
from benchmarks.sweep.problems import Optimum, Problem, analytic_problems, detector_trainings
from benchmarks.sweep.recorded import LCBENCH_TASKS, recorded_trainings
from benchmarks.sweep.regrets import regret_table
from benchmarks.sweep.simulate import CHECKPOINTS, Outcome, simulate

OURS, PEER, RANDOM = "detsweep", "w&b", "random"
Outcomes = dict[str, dict[Key, Outcome]]


def main() -> None:
    """Run what is missing, and print the tables."""
    options = _options()
    engines = [OURS, PEER] if find_peer("sweeps", "sweeps") else [OURS]
    if options.curves is not None:
        engines.append(RANDOM)
    problems = _problems(options)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    outcomes = _read(options.results)
    for name, problem, optimum, seed in _sweeps(engines, problems, seeds):
        if (problem.name, seed) in outcomes.setdefault(name, {}):
            continue
        engine = ENGINES[name](problem, seed)
        to_end = options.set == "analytic" or options.curves is not None
        outcome = simulate(problem, optimum, engine, seed, options.budget, to_end=to_end)
        outcomes[name][problem.name, seed] = outcome
        _append(options.results, name, problem.name, seed, outcome)
    keys = {(problem.name, seed) for problem, _ in problems for seed in seeds}
    chosen = {
        name: {key: outcome for key, outcome in outcomes[name].items() if key in keys}
        for name in engines
    }
    if options.curves is not None:
        budgets = [budget for budget in CHECKPOINTS if budget <= options.budget]
        console.print(regret_table(chosen, problems, budgets, peer=PEER))
    elif options.set == "analytic":
        _print_distances(chosen, problems, options.budget)
    else:
        _print_epochs(chosen, options.budget)


def _problems(options: argparse.Namespace) -> list[tuple[Problem, Optimum]]:
    if options.curves is not None:
        return recorded_trainings(options.curves, options.tasks)
    if options.set == "analytic":
        return analytic_problems()
    return detector_trainings(options.first, options.problems, options.salt)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep")
    parser.add_argument("--curves", type=Path, metavar="FOLDER", help="of recorded trainings")
    parser.add_argument("--tasks", nargs="*", default=LCBENCH_TASKS, help="of LCBench")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--set", choices=["detector", "analytic"], default="detector")
    parser.add_argument("--problems", type=int, default=4)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--salt", type=int, default=1)
    parser.add_argument("--budget", type=int, default=800)
    parser.add_argument("--results", type=Path)
    return parser.parse_args()


def _sweeps(
    engines: Iterable[str], problems: list[tuple[Problem, Optimum]], seeds: Iterable[int]
) -> Iterator[tuple[str, Problem, Optimum, int]]:
    for seed in seeds:
        for problem, optimum in problems:
            for name in engines:
                yield name, problem, optimum, seed


def _read(results: Path | None) -> Outcomes:
    outcomes: Outcomes = {}
    lines = results.read_text(encoding="utf-8").splitlines() if results and results.exists() else []
    for record in map(json.loads, lines):
        engine, problem, seed = (record.pop(name) for name in ("engine", "problem", "seed"))
        outcomes.setdefault(engine, {})[problem, seed] = _outcome(record)
    return outcomes


def _outcome(record: dict[str, object]) -> Outcome:
    for name in ("missing", "missing_by_best"):
        by_epochs = record[name]
        assert isinstance(by_epochs, dict)
        record[name] = {int(paid): left for paid, left in by_epochs.items()}
    return Outcome(**record)  # type: ignore[arg-type]  # as `to_dict` wrote it


def _append(results: Path | None, engine: str, problem: str, seed: int, outcome: Outcome) -> None:
    if results is None:
        return
    record = {"engine": engine, "problem": problem, "seed": seed, **outcome.to_dict()}
    with results.open("a") as file:
        file.write(json.dumps(record) + "\n")


def _print_epochs(outcomes: Outcomes, budget: int) -> None:
    table = Table(title="Epochs until the optimum was found")
    for column in ("found by", "engine", "sweeps", "median", "hit", "ratio", "95 %", "wins"):
        table.add_column(column)
    for by_best, label in ((False, "any run"), (True, "the run with the best value")):
        for name, by_key in outcomes.items():
            taken = [epochs(outcome, budget, by_best=by_best) for outcome in by_key.values()]
            hits = sum(number <= budget for number in taken) / len(taken)
            cells = [label, name, str(len(taken)), f"{np.median(taken):.0f}", f"{hits:.0%}"]
            if name != PEER and PEER in outcomes:
                c = compare(by_key, outcomes[PEER], budget, by_best=by_best)
                cells += [f"{c.ratio:.2f}", f"{c.low:.2f} to {c.high:.2f}", f"{c.wins:.0%}"]
            table.add_row(*cells)
    console.print(table)


def _print_distances(
    outcomes: Outcomes, problems: list[tuple[Problem, Optimum]], budget: int
) -> None:
    table = Table(title=f"Distance from the best level after {budget} epochs, of typical to best")
    for column in ("problem", "engine", "sweeps", "best run", "run with the best value", "hit"):
        table.add_column(column)
    for problem, optimum in problems:
        span = optimum.level - optimum.typical
        for name, by_key in outcomes.items():
            found = [outcome for (of, _), outcome in by_key.items() if of == problem.name]
            best = np.median([outcome.missing[budget] for outcome in found]) / span
            shown = np.median([outcome.missing_by_best[budget] for outcome in found]) / span
            hits = sum(outcome.found is not None for outcome in found) / len(found)
            count = str(len(found))
            table.add_row(problem.name, name, count, f"{best:.4f}", f"{shown:.4f}", f"{hits:.0%}")
    console.print(table)


if __name__ == "__main__":
    main()
