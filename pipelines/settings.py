"""What a pipeline is compiled for: what Kubeflow can't be given as a parameter of a run.

Labels, resources and Secrets of a pod are fixed when the pipeline is compiled. A loop's pods take
no resources from a parameter either (kfp 2.17 drops it on its way into the loop).
"""

from dataclasses import dataclass, field
from typing import Literal

from components.resources import Resources

__all__ = ["CHECKING", "TRAINING_ON_CPU", "TRAINING_ON_GPU", "FoldsOn", "Resources", "Settings"]

FoldsOn = Literal["trainjob", "pod"]

TRAINING_ON_GPU = Resources("4", "8", "24Gi", "32Gi")
TRAINING_ON_CPU = Resources("1", "2", "2Gi", "4Gi")
"""For the presets `quickstart` and `receipts_cpu`."""
CHECKING = Resources("1", "2", "2Gi", "8Gi")
"""For the steps that read the data set or ask the database."""


@dataclass(frozen=True)
class Settings:
    """What `pipelines.sweep.build_pipeline` builds the pipeline for.

    Attributes:
        label: names a run's pods, for `kubectl logs --selector detsweep.io/sweep=LABEL`.
        gpu: the resource that a step which trains asks for one of, such as
            `nvidia.com/mig-3g.40gb`; empty on a cluster without GPUs.
        gpus_per_fold, nodes_per_fold: on what a fold is trained. Of `gpu`, on each of the nodes.
        folds_on: who holds a fold's GPUs where there is more than one: a TrainJob of Kubeflow's
            Trainer, or the step's own pod, which needs no Trainer and has one node.
        training: of a step that trains, for each of its GPUs; None for what suits `gpu`.
        checking: of a step that does not.
        shared_memory: size of /dev/shm, through which data loading hands its batches over, for
            each GPU. A pod has 64 MiB by default. It counts towards the memory limit.
        pull_secrets: Secrets of the pipeline's namespace that open the image's registry.
        queue: Kueue's local queue that the pods wait in; empty for none.
        backend: URL of where the run's trials are kept; None where the run itself says it, as a
            pipeline that is compiled ahead of its runs: then steps get the Secrets of all.
        tracker: of the run's configuration; None in the same way.
    """

    label: str = "default"
    gpu: str = "nvidia.com/gpu"
    gpus_per_fold: int = 1
    nodes_per_fold: int = 1
    folds_on: FoldsOn = "trainjob"
    training: Resources | None = None
    checking: Resources = CHECKING
    shared_memory: str | None = None
    pull_secrets: tuple[str, ...] = field(default=())
    queue: str = ""
    backend: str | None = None
    tracker: str | None = None

    @property
    def of_training(self) -> Resources:
        """What a step that trains asks for, for each of its GPUs."""
        return self.training or (TRAINING_ON_GPU if self.gpu else TRAINING_ON_CPU)

    @property
    def of_shared_memory(self) -> str:
        """The size of /dev/shm for each GPU."""
        return self.shared_memory or ("8Gi" if self.gpu else "1Gi")

    @property
    def fold_is_in_its_pod(self) -> bool:
        """Whether a fold is trained by the pod of its own step, and so that asks for the GPUs."""
        return self.folds_on == "pod" or self.gpus_per_fold * self.nodes_per_fold == 1
