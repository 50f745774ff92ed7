"""What a person sees of a run on this machine: its lines, and how long it will still take."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from rich.console import Group
from rich.live import Live
from rich.text import Text

from detector.console import log_line, plain_console
from detector.errors import DetsweepError
from detector.planning.forecast import Forecast

_LOOK_S = 5.0
"""Between two looks at the run."""
_LEAST_S, _SHARE, _MOST_S = 15.0, 0.05, 300.0
"""Between two forecasts in a log: a share of the time left, within bounds."""

Look = Callable[[], Forecast | None]


class Log:
    """Prints lines one after the other; a forecast now and then, as lines too."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic):
        self._stream, self._clock = stream, clock
        self._next = 0.0

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is left open."""

    def write(self, line: str) -> None:
        """Print a line of a step: `STEP │ TEXT`."""
        step, bar, message = line.partition(" │ ")
        text = log_line(message, step) if bar else log_line(line)
        if text is not None:
            self._put(text)

    def _put(self, text: str) -> None:
        # In one call, for several steps write at once.
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def show(self, forecast: Forecast) -> None:
        """Print a forecast, if the last one was long enough ago."""
        now = self._clock()
        if now >= self._next:
            self._next = now + min(max(_LEAST_S, _SHARE * forecast.total), _MOST_S)
            for line in forecast_lines(forecast):
                self.write(f"run │ {line}")


class Screen(Log):
    """A terminal: the forecast stays below the lines, and counts down."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic):
        super().__init__(stream, clock)
        self._console = plain_console(file=stream)
        self._seen: tuple[float, Forecast] | None = None
        self._began = clock()
        self._live = Live(
            get_renderable=self._below,
            console=self._console,
            refresh_per_second=2,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _put(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def show(self, forecast: Forecast) -> None:
        """Take the newest forecast."""
        self._seen = (self._clock(), forecast)

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def _below(self) -> Group:
        now = self._clock()
        lines = [f"{clock_time(now - self._began)} since the start"]
        if self._seen is not None:
            at, forecast = self._seen
            lines += forecast_lines(forecast, passed=now - at)
        return Group(
            *(Text(line, style="dim", overflow="ellipsis", no_wrap=True) for line in lines)
        )


@contextmanager
def watched(look: Look, show: Callable[[Forecast], None]) -> Iterator[None]:
    """Look at a run every few seconds while the block runs, and show what was seen."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_S):
            # A store or a database that is away is the steps' business.
            with suppress(DetsweepError, OSError):
                if forecast := look():
                    show(forecast)

    watcher = threading.Thread(target=watch, name="forecast", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join(_LOOK_S)


def forecast_lines(forecast: Forecast, passed: float = 0.0) -> list[str]:
    """A forecast in words: a line for the run, and one for each training at work.

    Args:
        passed: seconds since it was made.

    >>> for line in forecast_lines(Forecast(90, 60, 30, 4, [("trial 3", 1, 45)])):
    ...     print(line)
    about 3:00 left: sweep 1:30, folds 1:00, ensemble 0:30
    trial 3 · epoch 1/4, about 0:45 left
    """
    parts = {"sweep": forecast.sweep, "folds": forecast.folds, "ensemble": forecast.ensemble}
    shown = ", ".join(f"{name} {clock_time(left)}" for name, left in parts.items() if left)
    left = f"about {clock_time(forecast.total - passed)} left"
    lines = [f"{left}: {shown}" if shown else left]
    lines += [
        f"{name} · epoch {epoch}/{forecast.max_epochs}, about {clock_time(left - passed)} left"
        for name, epoch, left in forecast.running
    ]
    return lines


def clock_time(seconds: float) -> str:
    """
    >>> clock_time(9), clock_time(75), clock_time(3725), clock_time(-3)
    ('0:09', '1:15', '1:02:05', '0:00')
    """
    minutes, second = divmod(round(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
