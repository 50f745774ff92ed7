"""Kernels: functions of numbers and arrays that numba compiles where it is installed.

Where it is not, they are interpreted and give the same results, more slowly. Training installs it,
since a target map is drawn for every crop. What finds and scores text on a few hundred pages does
well without: compiling takes longer than that.
"""

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

try:
    import numba
    from numba.core import event
except ImportError:  # it comes with training
    COMPILED = False
else:
    COMPILED = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]  # set by its name
"""Whether kernels are compiled; `NUMBA_DISABLE_JIT=1` in the environment has them interpreted."""

F = TypeVar("F", bound=Callable[..., Any])

if COMPILED:

    class _Announced(event.Listener):
        """Says that the first kernel is being compiled, which happens once on a machine."""

        def on_start(self, _event: event.Event) -> None:
            event.unregister("numba:compile", self)  # type: ignore[no-untyped-call]
            print("compiling, once on this machine: 10 to 60 s", file=sys.stderr, flush=True)

        def on_end(self, _event: event.Event) -> None:
            """Nothing is left to say."""

    event.register("numba:compile", _Announced())  # type: ignore[no-untyped-call]


def kernel(*, fastmath: bool = False) -> Callable[[F], F]:
    """Compile a function at its first call, and keep the code for other processes.

    Args:
        fastmath: let sums be reordered; the function may meet neither NaN nor infinity.

    >>> @kernel()
    ... def twice(number: int) -> int:
    ...     return 2 * number
    >>> twice(4)
    8
    """

    def compiled(function: F) -> F:
        if not COMPILED:
            return function
        try:
            return cast(F, numba.njit(cache=True, fastmath=fastmath)(function))
        except RuntimeError:  # nowhere to keep the code: each process compiles it for itself
            return cast(F, numba.njit(fastmath=fastmath)(function))

    return compiled
