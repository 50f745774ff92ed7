"""The folds' networks as candidates: each alone, means of their weights, the mean of their maps,
and all of their maps, whose texts are put to the vote (`detector.detecting.consensus`).

What they are worth is measured elsewhere: a mean of weights may be as good as a mean of maps at the
price of one network (model soups, Wortsman et al. 2022, arXiv 2203.05482), or worth nothing, where
the networks have not learnt the same features in the same places. A greedy soup adds one network
after the other, the best first, while that helps; here every such mean is a candidate of its own,
so that how many it takes is chosen, and the choice measured, like any other.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from detector.config.metrics import METRIC
from detector.data.page import Page
from detector.detecting.inference import network_inputs
from detector.ensemble.names import CONSENSUS, MEAN_OF_MAPS, mean_of_weights
from detector.export.onnx import AllMaps, Ensemble, MeanOfMaps
from detector.model.checkpoint import ModelCheckpoint
from detector.model.dbnet import DBNet

_STATISTICS_PAGES = 32
"""Enough for the statistics of batch norm: a page has thousands of positions."""


def candidate_networks(
    models: Mapping[str, ModelCheckpoint], training: Sequence[Page]
) -> Iterator[tuple[str, Ensemble]]:
    """Name and network of each candidate, one after the other: only one is in memory whole.

    Args:
        models: the folds' models, by name; the better on its own pages, the sooner in a mean.
        training: pages to take the statistics of averaged networks from.
    """
    for name, model in models.items():
        yield name, MeanOfMaps([model.build_model()]).eval()
    best_first = sorted(models.values(), key=lambda model: -model.metrics[METRIC])
    for count in range(2, len(models) + 1):
        averaged = average_weights(best_first[:count], training)
        name = mean_of_weights(count, len(models))
        yield name, MeanOfMaps([averaged]).eval()
    if len(models) > 1:
        yield MEAN_OF_MAPS, MeanOfMaps([m.build_model() for m in models.values()]).eval()
        yield CONSENSUS, AllMaps([m.build_model() for m in models.values()]).eval()


def average_weights(models: Sequence[ModelCheckpoint], training: Sequence[Page]) -> DBNet:
    """The mean of the models' weights. The statistics of its batch norm are taken from pages again,
    since those of the parts are not those of the mean."""
    network = models[0].build_model()
    network.load_state_dict(
        {name: _mean([m.weights[name] for m in models]) for name in models[0].weights}
    )
    pictures = network_inputs(training, models[0].config.data, _STATISTICS_PAGES)
    update_bn(map(torch.from_numpy, pictures), network)
    return network.eval()


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """Counters, which are whole numbers, stay those of the first."""
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack(list(tensors)).mean(dim=0)
