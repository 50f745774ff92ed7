"""Which device trains, by what torch says there is, and what of a training a Mac's GPU can't do."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from detector.config.loading import apply_params
from detector.config.schema import Config, TrainerConfig
from detector.data.folds import Folds
from detector.errors import ConfigError
from detector.training.device import choose_device, default_precision, present_devices
from detector.training.group import start_fabric
from detector.training.parts import build_parts
from detector.training.validate import Validation

BOTH = ["cuda", "mps", "cpu"]


@pytest.mark.parametrize(
    ("asked", "present", "processes", "expected"),
    [
        ("auto", ["cuda", "cpu"], 1, "cuda"),
        ("auto", ["cuda", "cpu"], 4, "cuda"),
        ("auto", ["mps", "cpu"], 1, "mps"),
        ("auto", ["mps", "cpu"], 2, "cpu"),
        ("auto", ["cpu"], 1, "cpu"),
        ("cpu", BOTH, 1, "cpu"),
        ("mps", BOTH, 1, "mps"),
    ],
)
def test_the_fastest_that_is_there_trains(
    asked: str, present: list[str], processes: int, expected: str
) -> None:
    assert choose_device(asked, present, processes) == expected


def test_a_device_that_is_not_there_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ConfigError, match=r"cuda is not there") as caught:
        choose_device("cuda", ["mps", "cpu"])
    assert caught.value.remedy == "give auto or mps or cpu"
    with pytest.raises(ConfigError, match="mps trains in one process only"):
        choose_device("mps", ["mps", "cpu"], processes=2)


def test_there_is_always_a_processor_and_fabric_takes_it() -> None:
    assert present_devices()[-1] == "cpu"
    fabric = start_fabric(TrainerConfig(device="cpu"))
    assert fabric.device == torch.device("cpu")
    assert default_precision("cpu") == default_precision("mps") == "32"


def test_the_device_does_not_change_what_a_training_is(tiny: Config) -> None:
    assert apply_params(tiny, {"trainer.device": "cpu"}).digest() == tiny.digest()


class DoublesOf(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types here
    """Notes what gives a tensor of 64-bit floats, which a Mac's GPU does not have."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators: set[str] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = func(*args, **(kwargs or {}))
        if any(
            isinstance(leaf, torch.Tensor) and leaf.dtype == torch.float64
            for leaf in tree_leaves(given)
        ):
            self.operators.add(str(func))
        return given


def test_the_watch_for_doubles_sees_one() -> None:
    with DoublesOf() as doubles:
        torch.ones(2).double()
    assert doubles.operators


def test_no_step_of_a_training_takes_doubles(tiny: Config, folds: Folds) -> None:
    config = apply_params(tiny, {"trainer.device": "cpu", "trainer.precision": "32"})
    parts = build_parts(config, folds.training(0), start_fabric(config.trainer))
    batch = next(iter(parts.loader))
    with DoublesOf() as doubles:
        parts.stepper.step(batch, 0.001)
        Validation(folds.validation(0), config).score(parts.network.eval())
    assert not doubles.operators
