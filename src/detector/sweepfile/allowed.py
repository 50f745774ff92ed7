"""What a sweep's database may say: nothing but what the run's own sweep file allows.

Whoever can write to the database could otherwise choose what agents run, and with which words.
Numbers are not compared: they can do no such harm, and W&B writes 0.0 as 0.
"""

import json
from collections.abc import Mapping

from detector.errors import ConfigError, SweepError
from detector.sweepfile.command import DEFAULT_COMMAND, nested
from detector.sweepfile.space import Categorical, Constant, Distribution
from detector.sweepfile.spec import SweepSpec


def refuse_another_file(spec: SweepSpec, of_database: SweepSpec, where: str) -> None:
    """Refuse a sweep whose database would have something else run than the run's sweep file says.

    Args:
        where: the run's sweep file, for the error.

    Raises:
        SweepError: the program, the command or the parameters differ.
    """
    says, should_say = _what_runs(of_database), _what_runs(spec)
    for part, right in should_say.items():
        if says[part] != right:
            raise SweepError(
                f"the database has another `{part}` than the sweep file of the run, so nothing "
                "was run",
                where=where,
                remedy="find out who has written to the database, then begin a new sweep",
            )


def refuse_foreign_values(spec: SweepSpec, params: Mapping[str, object]) -> None:
    """Refuse a trial's parameters that the sweep file does not have, and values that are not
    theirs.

    Raises:
        ConfigError: naming the first.
    """
    _refuse(nested(spec.parameters, spec.paths), _tree(spec, params), ())


def _what_runs(spec: SweepSpec) -> dict[str, object]:
    space = {
        name: (spec.paths.get(name), [_without_numbers(value) for value in _listed(values)])
        for name, values in spec.parameters.items()
    }
    command = None if spec.trains_detector else spec.command or DEFAULT_COMMAND
    return {"program": spec.program, "command": command, "parameters": space}


def _listed(distribution: Distribution) -> list[object]:
    if isinstance(distribution, Constant):
        return [distribution.value]
    return distribution.values if isinstance(distribution, Categorical) else []


def _without_numbers(value: object) -> object:
    """
    >>> _without_numbers({"lr": 0.5, "names": ["a", 1]})
    {'lr': None, 'names': ['a', None]}
    """
    if isinstance(value, Mapping):
        return {str(key): _without_numbers(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_without_numbers(below) for below in value]
    return value if isinstance(value, str) else None


def _tree(spec: SweepSpec, params: Mapping[str, object]) -> dict[str, object]:
    """As the file nests them: W&B has them so already, and its names are the outermost ones."""
    foreign = params.keys() - spec.parameters.keys() - {path[0] for path in spec.paths.values()}
    if foreign:
        raise _not_allowed(sorted(map(str, foreign))[0])
    return nested(params, spec.paths)


def _refuse(allowed: object, value: object, path: tuple[str, ...]) -> None:
    if isinstance(allowed, Distribution):
        if not _admits(allowed, value):
            raise _not_allowed(f"{'.'.join(path)}={value!r}")
        return
    assert isinstance(allowed, Mapping), "the tree of a sweep file's parameters"
    if not isinstance(value, Mapping):
        raise _not_allowed(f"{'.'.join(path)}={value!r}")
    for key, below in value.items():
        if key not in allowed:
            raise _not_allowed(".".join((*path, str(key))))
        _refuse(allowed[key], below, (*path, key))


def _admits(distribution: Distribution, value: object) -> bool:
    if isinstance(distribution, Constant | Categorical):
        shown = json.dumps(value, sort_keys=True)
        return any(
            value == listed or shown == json.dumps(listed, sort_keys=True)
            for listed in _listed(distribution)
        )
    return isinstance(value, int | float) and not isinstance(value, bool)


def _not_allowed(what: str) -> ConfigError:
    return ConfigError(
        f"the sweep file does not allow {what}, which the database names",
        remedy="find out who has written to the database",
    )
