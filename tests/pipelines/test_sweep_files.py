"""The sweep files that come with detsweep."""

from pathlib import Path

import pytest

from detector.config.loading import apply_params, load_config
from detector.sweepfile.check import check_sweep, configs_of
from detector.sweepfile.spec import parse_sweep

SWEEPS = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_file_has_no_faults_with_the_preset_of_its_name(path: Path) -> None:
    configs = configs_of([f"preset={path.stem}"])
    found = check_sweep(path.read_text(encoding="utf-8"), str(path), configs)
    assert {finding.level for finding in found} <= {"note"}
    assert parse_sweep(path.read_text(encoding="utf-8"), str(path)).trial_limit is not None


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_file_goes_with_the_preset_of_its_name(path: Path) -> None:
    spec = parse_sweep(path.read_text(encoding="utf-8"), str(path))
    config = load_config([f"preset={path.stem}"])
    lowest = {name: d.min for name, d in spec.parameters.items() if hasattr(d, "min")}
    assert apply_params(config, lowest).preset == path.stem
