"""A training whose data is loaded by other processes, as a process of its own.

python -m tests.training.loading FOLDER
"""

import sys
from pathlib import Path

from detector.config.loading import apply_params, load_config
from detector.console import plain_errors
from detector.data.data_set import DataSet
from detector.data.folds import make_folds, open_folds
from detector.data.synthetic.drawing import draw_receipts
from detector.training.run import train
from tests.training.conftest import TINY


def main(folder: Path) -> None:
    """Train on drawn receipts."""
    data = folder / "data"
    draw_receipts(data, train=8, held_out=2, seed=3)
    folds = open_folds(data, make_folds(DataSet.read(data).pages(), 2, seed=0))
    config = apply_params(load_config(TINY), {"data.num_workers": 2})
    train(config, folds, 0, folder / "run", lambda _: True)


if __name__ == "__main__":
    with plain_errors():
        main(Path(sys.argv[1]))
