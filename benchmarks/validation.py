"""What validation takes of an epoch of preset `receipts_cpu`, on one core as an agent has it.

One of the preset's folds is validated, and an epoch takes the steps that the pages of all others
ask for. The pages are receipts that detsweep draws. The weights are those of a finished quick start
(`make quickstart`, or any checkpoint named as the argument): an untrained network's maps hold no
text to outline.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import Contender, console, take_turns, use_threads
from benchmarks.inference import CHECKPOINT
from benchmarks.loading import PRESET, SEED, training_step
from detector.config.loading import load_config
from detector.data.batches import training_batches
from detector.data.data_set import DataSet
from detector.data.synthetic.drawing import draw_receipts
from detector.model.checkpoint import ModelCheckpoint
from detector.model.dbnet import DBNet
from detector.training.validate import Validation

VALIDATED = 12
ROUNDS = 5


def main(checkpoint: Path = CHECKPOINT) -> None:
    """Print the duration of both parts of an epoch, and validation's share."""
    if not checkpoint.exists():
        console.print(f"skipped validation: there is no {checkpoint}; run `make quickstart`")
        return
    use_threads(1)
    config = load_config([f"preset={PRESET}"])
    network = DBNet(config.models, pretrained=False).eval()
    network.load_state_dict(ModelCheckpoint.load(checkpoint).weights)
    with TemporaryDirectory() as folder:
        root = Path(folder) / "receipts"
        draw_receipts(root, train=config.folds.count * VALIDATED, held_out=0, seed=SEED)
        pages = DataSet.read(root).pages()
        validation = Validation(pages[:VALIDATED], config)
        loader, batches = training_batches(pages[VALIDATED:], config)
        validate = Contender("validation", lambda _: validation.score(network))
        validated = take_turns([None], [validate], ROUNDS)["validation"].median
        batch = next(iter(loader))
        load = Contender("loading", lambda _: next(iter(loader)))
        loaded = take_turns([None], [load], ROUNDS)["loading"].median
    trained = len(batches) * (loaded + training_step(batch, config).median)
    console.print(
        f"{PRESET}: {len(batches)} steps take {trained / 1000:.1f} s, and validating {VALIDATED} "
        f"pages {validated / 1000:.2f} s: {validated / trained:.1%} of them"
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
