"""One optimizer step: micro-batches add up, and memory that runs out halves them."""

import pytest
import torch
from lightning_fabric import Fabric

from detector.config.loading import apply_params
from detector.config.schema import Config
from detector.data.batches import Batch, training_batches
from detector.data.folds import Folds
from detector.errors import TrainingError
from detector.model.dbnet import DBNet
from detector.training.step import Stepper


@pytest.fixture
def batch(tiny: Config, folds: Folds) -> Batch:
    config = apply_params(tiny, {"data.batch_size": 4})
    loader, _ = training_batches(folds.training(0), config)
    first: Batch = next(iter(loader))
    return first


def stepper(config: Config) -> Stepper:
    torch.manual_seed(0)
    network = DBNet(config.models).eval()  # in training, batch norm depends on the micro-batch
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    fabric = Fabric(accelerator="cpu", devices=1)
    model, optimizer = fabric.setup(network, optimizer)
    return Stepper(fabric, model, optimizer, network, None, config)


def test_the_effective_batch_is_kept_when_memory_runs_out(
    tiny: Config, batch: Batch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = apply_params(tiny, {"data.batch_size": 4})
    taken = stepper(config)
    forward, sizes = taken._network.forward, []

    def small_memory(pictures: torch.Tensor) -> object:
        sizes.append(len(pictures))
        if len(pictures) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(pictures)

    monkeypatch.setattr(taken._network, "forward", small_memory)
    taken.step(batch, 0.1)
    assert sizes == [4, 2, 1, 1, 1, 1]
    assert taken.micro_batch == 1
    assert "micro-batch halved to 1, effective batch unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        "DefaultCPUAllocator: can't allocate memory",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes.",
        "MPS backend out of memory (MPS allocated: 1 GB)",
    ],
)
def test_a_crop_that_never_fits_is_an_error_with_a_remedy(
    words: str, tiny: Config, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = stepper(tiny)

    def no_memory(_: torch.Tensor) -> object:
        raise RuntimeError(words)

    monkeypatch.setattr(taken._network, "forward", no_memory)
    with pytest.raises(TrainingError, match=r"data\.crop_size=64.*\n.*lower data\.crop_size"):
        taken.step(batch, 0.1)


def test_another_error_is_not_taken_for_memory(
    tiny: Config, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = stepper(tiny)

    def broken(_: torch.Tensor) -> object:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(taken._network, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        taken.step(batch, 0.1)
