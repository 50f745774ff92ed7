"""The processes that share one training. torchrun describes them to each through its environment.

Without torchrun there is one. `detector.training.group` has what they exchange.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from detector.config.schema import Config
from detector.environment import whole
from detector.errors import ConfigError


@dataclass(frozen=True)
class Processes:
    """This process among those of its training.

    Attributes:
        rank: its number, from 0. Only the first writes files and reports.
        world: how many there are, on all nodes.
        here: how many of them are on this node.
    """

    rank: int = 0
    world: int = 1
    here: int = 1

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ) -> "Processes":
        """As torchrun has set it.

        Raises:
            ConfigError: a variable is no whole number.

        >>> Processes.of_environment({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"})
        Processes(rank=3, world=4, here=2)
        """
        if "RANK" not in environ:
            return cls()
        world = whole("WORLD_SIZE", environ.get("WORLD_SIZE", ""), least=1)
        here = whole("LOCAL_WORLD_SIZE", environ.get("LOCAL_WORLD_SIZE") or str(world), least=1)
        return cls(whole("RANK", environ["RANK"], least=0), world, here)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0


ALONE = Processes()


def require_equal_shares(config: Config, processes: int, crops: int | None = None) -> None:
    """Refuse a batch that is not the same number of crops in each process.

    Only then is the result of several processes that of one.

    Args:
        crops: how many an epoch has, where that is known: a step takes no more.

    Raises:
        ConfigError: the batch cannot be shared out evenly.
    """
    size, steps = config.data.batch_size, config.trainer.accumulate_grad_batches
    batch = size * steps if crops is None else min(size * steps, crops)
    if size % processes == 0 and batch % processes == 0:
        return
    raise ConfigError(
        f"data.batch_size={size} times trainer.accumulate_grad_batches={steps} cannot be shared by "
        f"{processes} processes" + (f": there are only {crops} crops" if batch == crops else ""),
        where=f"{batch} crops a step in micro-batches of {size}",
        remedy=f"make data.batch_size a multiple of {processes} (with fewer "
        "trainer.accumulate_grad_batches the step stays as large), or train on fewer GPUs",
    )
