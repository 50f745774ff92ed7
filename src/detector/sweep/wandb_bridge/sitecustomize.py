"""Has what a program gives to `wandb.log` reach the agent at once, without changing the program.

Python runs a module of this name at its start if the module's folder is on PYTHONPATH, where the
agent puts it. This one waits for the program to import wandb and then listens to `Run.log`. W&B's
own offline file is no substitute: wandb writes it in blocks of 32 KiB, so that a short run's
metrics only appear when it has ended, too late to stop it.

It is no part of the package `detector`: the program's Python may be another one, in which detsweep
is not installed, so that only the standard library is used.
"""

import importlib.machinery
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

_HERE = str(Path(__file__).parent)


class _WandbFinder:
    """Finds wandb as Python would, and has it listened to once it is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002
        if name != "wandb":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_listen(module: Any) -> None:
                execute(module)
                _listen(module.sdk.wandb_run.Run)

            # The loader is made for this one import, so that nobody else sees the change.
            spec.loader.exec_module = execute_and_listen  # type: ignore[method-assign]
        return spec


def _listen(run_class: Any) -> None:
    original = run_class.log

    def log(self: Any, data: Any, *args: Any, **kwargs: Any) -> None:
        original(self, data, *args, **kwargs)
        _report(data)

    log.__doc__ = original.__doc__
    run_class.log = log


def _report(data: Any) -> None:
    metrics = dict(_numbers(data, ""))
    if metrics:
        with Path(os.environ["DETSWEEP_METRICS"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"metrics": metrics}) + "\n")


def _numbers(data: Any, prefix: str) -> Any:
    """The numbers in what was logged, nested ones by dotted names, as W&B names them."""
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}.")
        elif not isinstance(value, (str, bytes)):
            try:
                yield f"{prefix}{name}", float(value)
            except (TypeError, ValueError):
                continue


def _run_the_one_behind() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    others = [entry for entry in sys.path if entry != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


_run_the_one_behind()
if "DETSWEEP_METRICS" in os.environ:
    sys.meta_path.insert(0, _WandbFinder())
