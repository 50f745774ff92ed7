"""What a training of the detector reports after each epoch, by the names that sweep files use."""

from typing import Literal

METRIC = "val/hmean"
"""CLEval's H-Mean over all characters of the validation pages. Weights are kept and trials are
compared by it; higher is better."""
RECALL, PRECISION = "val/recall", "val/precision"
"""CLEval's over all characters of the validation pages."""
HMEAN_PAGES = "val/hmean_pages"
"""The mean of the pages' own H-Means."""
LOSS = "train/loss"
"""The mean of the epoch's steps."""
RATE = "lr"
"""The learning rate after the epoch."""
SECONDS = "seconds"
"""How long the epoch took, its validation included."""

HISTORY = "metrics.jsonl"
"""The file in a training's folder that has them, a line for each finished epoch."""

GOALS: dict[str, Literal["maximize", "minimize"] | None] = {
    METRIC: "maximize",
    RECALL: "maximize",
    PRECISION: "maximize",
    HMEAN_PAGES: "maximize",
    LOSS: "minimize",
    RATE: None,
    SECONDS: None,
}
"""All of them, and which way is better."""
