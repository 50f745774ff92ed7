"""What a run is asked to be, looked at before its first step: what would be found out hours later
is refused here. Nothing is left in the run store or beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from detector.config.loading import apply_params, load_config, values_by_key
from detector.config.schema import Config
from detector.data.formats.layout import find_splits
from detector.data.formats.recognise import require_format
from detector.data.source import fetch
from detector.ensemble.names import require_preference
from detector.errors import SweepError
from detector.export.teacher import require_teacher
from detector.patience import SHORT_PATIENCE_S
from detector.redacting import shown_url
from detector.steps.prepare import refuse_another_configuration, refuse_other_data
from detector.steps.promote import require_baseline
from detector.steps.run import Run
from detector.steps.sweep_init import refuse_another_sweep
from detector.sweep.opening import require_backend
from detector.sweepfile.check import check_sweep, configs_of, refuse_errors
from detector.sweepfile.spec import SweepSpec, parse_sweep
from detector.training.needs import NEEDS, lack_of


@dataclass(frozen=True)
class AskedRun:
    """A whole run, as a person asks for it.

    Attributes:
        data: the data set: a folder or an s3:// URL.
        sweep_yaml: the content of the sweep file.
        file: its name, for errors.
        overrides: of the configuration.
        store: URL of the run store.
        backend: URL of where the trials are kept.
        agents: how many train at once.
        prefer: see `detector.choosing.candidates.choose_candidate`.
        baseline: see `detector.steps.promote.compare_with_baseline`; empty for none.
    """

    data: str
    sweep_yaml: str
    file: str
    overrides: Sequence[str]
    store: str
    backend: str
    agents: int
    prefer: str
    baseline: str

    @cached_property
    def config(self) -> Config:
        """The configuration that the trials start from.

        Raises:
            ConfigError: an override is not valid.
        """
        return load_config([*self.overrides, f"data.path={self.data}"])

    @cached_property
    def spec(self) -> SweepSpec:
        """The sweep file, read.

        Raises:
            SweepError: it is not valid.
        """
        return parse_sweep(self.sweep_yaml, self.file)

    @property
    def shown_backend(self) -> str:
        """The backend's URL as it may be printed: without a password."""
        return shown_url(self.backend)

    def refuse_what_cannot_end_well(self) -> None:
        """Look at everything that a later step will take, cheapest first.

        Raises:
            ConfigError: an override is not valid, or no candidate can be what is preferred.
            SweepError: the sweep file has errors or trains another program, or there can be no
                backend at its URL for so many agents.
            DataError: there is no data set, or the baseline is no H-Mean.
            ExportError: the baseline is no model that detsweep exported.
            StoreError: the store cannot be written, or holds another run.
        """
        configs = [self.config, *configs_of(self.overrides)]
        refuse_errors(check_sweep(self.sweep_yaml, self.file, configs), self.file)
        if not self.spec.trains_detector:
            raise SweepError(
                "its trials are runs of a program, and there are no folds of it to train",
                where=self.file,
                remedy="use `detsweep sweep init` and `detsweep sweep agent`, or take `program` "
                "and `command` out for detsweep's own detector",
            )
        self._look_at_needs()
        require_preference(self.prefer, self.config.folds.trained)
        if self.config.data.format is not None:
            require_format(self.config.data.format)
        if not self.data.startswith("s3://"):  # whose copy is the first step's
            find_splits(fetch(self.data), self.config.data.held_out)
        self._look_at_store()
        require_backend(self.backend, self.agents)
        if self.baseline:
            require_baseline(self.baseline)

    def _look_at_needs(self) -> None:
        for key in NEEDS:
            for value in self._values(key):
                lack = lack_of(apply_params(self._fixed, {key: value}), key)
                if lack is not None:
                    raise lack.error
        if self.config.models.teacher is not None:
            require_teacher(self.config.models.teacher)

    @cached_property
    def _fixed(self) -> Config:
        """The configuration with what the sweep file gives one value only."""
        return apply_params(self.config, self.spec.constants)

    def _values(self, key: str) -> list[object]:
        """What a key may be in a trial, as far as its values can be counted."""
        swept = self.spec.parameters.get(key)
        return [values_by_key(self.config)[key]] if swept is None else list(swept.grid() or [])

    def _look_at_store(self) -> None:
        run = Run(self.store, patience_s=SHORT_PATIENCE_S)
        run.require_writable()
        if run.is_prepared:
            refuse_another_configuration(run, self.config)
            refuse_other_data(run, self.config)
        if run.begun is not None:
            refuse_another_sweep(run, run.begun, self.sweep_yaml)
