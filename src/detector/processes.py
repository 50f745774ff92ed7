"""The processes that share one training, as torchrun tells each of them through its environment.

Without torchrun there is one. What they say to each other is `detector.training.group`'s matter.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Processes:
    """This process among those of its training.

    Attributes:
        rank: its number, from 0. The first alone writes files and tells of the training.
        world: how many there are, on all nodes.
        here: how many of them are on this node.
    """

    rank: int = 0
    world: int = 1
    here: int = 1

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ) -> "Processes":
        """As torchrun has set it.

        >>> Processes.of_environment({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"})
        Processes(rank=3, world=4, here=2)
        """
        if "RANK" not in environ:
            return cls()
        world = int(environ["WORLD_SIZE"])
        return cls(int(environ["RANK"]), world, int(environ.get("LOCAL_WORLD_SIZE", world)))

    @property
    def is_first(self) -> bool:
        return self.rank == 0


ALONE = Processes()
