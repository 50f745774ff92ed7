"""How far sweeps of recorded trainings came: regrets by budget, and epochs until one was near.

A regret is the distance of the best run from the best level, in shares of that from a typical
configuration: 0 is the best that is known, 1 what half of all configurations reach.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.sweep.compare import Key, compare, interval_over_problems
from benchmarks.sweep.problems import Optimum, Problem
from benchmarks.sweep.simulate import Outcome

_STUCK, _NOT_STUCK = 0.5, 0.3
"""A task is stuck where the mean regret is above the one, and the peer's below the other."""


def regret_table(
    outcomes: Mapping[str, Mapping[Key, Outcome]],
    problems: Sequence[tuple[Problem, Optimum]],
    budgets: Sequence[int],
    *,
    peer: str,
) -> Table:
    """A row for each set of tasks, budget and engine, and one for the epochs until some run was
    within the target; ratios are those of the peer's in the same tasks and seeds."""
    table = Table(title="Regret, and its ratio to the peer's")
    for column in ("tasks", "epochs", "engine", "regret", "ratio", "95 %", "better", "stuck"):
        table.add_column(column)
    for label, belongs in _sets(problems):
        chosen = [(problem, optimum) for problem, optimum in problems if belongs(problem.name)]
        for budget in budgets:
            regrets = {name: _regrets(by_key, chosen, budget) for name, by_key in outcomes.items()}
            for name, ours in regrets.items():
                cells = [f"{label} ({len(chosen)})", str(budget), name, f"{ours.mean():.3f}"]
                if peer in regrets and name != peer:
                    cells += _against(ours, regrets[peer])
                table.add_row(*cells)
        if peer in outcomes:
            table.add_row(*_epochs(outcomes, chosen, max(budgets), label, peer))
            table.add_section()
    return table


def _sets(problems: Sequence[tuple[Problem, Optimum]]) -> list[tuple[str, Callable[[str], bool]]]:
    prefixes = sorted({problem.name.partition("-")[0] for problem, _ in problems})
    named = [(prefix, lambda name, of=prefix: name.startswith(of)) for prefix in prefixes]
    return [*named, ("all", lambda _: True)]


def _regrets(
    by_key: Mapping[Key, Outcome], problems: Sequence[tuple[Problem, Optimum]], budget: int
) -> NDArray[np.float64]:
    """Mean over the seeds (tasks,)."""
    return np.array(
        [
            np.mean([o.missing[budget] for (name, _), o in by_key.items() if name == problem.name])
            / (optimum.level - optimum.typical)
            for problem, optimum in problems
        ]
    )


def _against(ours: NDArray[np.float64], peers: NDArray[np.float64]) -> list[str]:
    pairs = np.stack([ours, peers], axis=1)
    low, high = interval_over_problems(pairs, lambda drawn: drawn[..., 0] / drawn[..., 1])
    stuck = int(((ours > _STUCK) & (peers < _NOT_STUCK)).sum())
    return [
        f"{ours.mean() / peers.mean():.2f}",
        f"{low:.2f} to {high:.2f}",
        f"{(ours < peers).mean():.0%}",
        str(stuck),
    ]


def _epochs(
    outcomes: Mapping[str, Mapping[Key, Outcome]],
    problems: Sequence[tuple[Problem, Optimum]],
    budget: int,
    label: str,
    peer: str,
) -> list[str]:
    names = {problem.name for problem, _ in problems}
    ours, peers = (
        {key: outcome for key, outcome in outcomes[name].items() if key[0] in names}
        for name in ("detsweep", peer)
    )
    found = compare(ours, peers, budget, by_best=False)
    interval = f"{found.low:.2f} to {found.high:.2f}"
    cells = [f"{label} ({len(names)})", "until within 1 %", "detsweep", ""]
    return [*cells, f"{found.ratio:.2f}", interval, f"{found.wins:.0%}"]
