"""A fold on several GPUs: a TrainJob of Kubeflow's Trainer, from its creation to its end.

| module | what it does |
|---|---|
| `job` | the TrainJob of a fold, as it is created and as it is found again |
| `cluster` | the calls of Kubernetes' API that it needs; one that gets no answer is made again |
| `waits` | why it waits, and how its pods ended |
| `logs` | its pods' lines |
| `running` | creates it, watches it, removes it |

What its pods do is `detector.steps.fold_process`, and what they look like is the TrainingRuntime in
k8s/trainer.
"""

from components.train_jobs.cluster import TrainJobError
from components.train_jobs.job import FoldJob, FoldPods
from components.train_jobs.running import TrainJobs

__all__ = ["FoldJob", "FoldPods", "TrainJobError", "TrainJobs"]
