"""Train a detector on labelled pages, write it as ONNX and look at a page with it.

    python examples/train_and_find.py PAGES FOLDER preset=receipts_cpu

It trains a single model. `detector.run` searches for its settings and joins the folds' models.
"""

import argparse
from pathlib import Path

from detector import Detector, train
from detector.config.loading import load_config
from detector.config.metrics import METRIC
from detector.data.opening import split_pages
from detector.ensemble.single import export_training
from detector.training.result import EpochMetrics


def show(metrics: EpochMetrics) -> bool:
    """Called after each epoch; returning False would end the training."""
    print(f"epoch {metrics.epoch}: H-Mean {metrics.values[METRIC]:.3f}", flush=True)
    return True


def main(data: str, folder: Path, *settings: str) -> None:
    """Train on the pages in `data`; `folder` receives the training and the model."""
    config = load_config([f"data.path={data}", *settings])
    folds = split_pages(config)
    trained = train(config, folds, fold=None, run_dir=folder, on_epoch=show)
    page = folds.held_out[0]
    model = export_training(trained.checkpoint, page, folder / "model.onnx")
    print(f"{model} finds {len(Detector(model)(page.image))} outlines on {page.name}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data", metavar="PAGES")
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("settings", metavar="KEY=VALUE", nargs="*")
    given = parser.parse_args()
    main(given.data, given.folder, *given.settings)
