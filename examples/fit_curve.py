"""A program of your own, which a sweep tunes: it fits a curve by gradient descent.

    detsweep sweep init examples/fit_curve.yaml

It takes its parameters as options and reports each epoch with `log`. docs/sweep-file.md has other
ways, such as `wandb.log`, or a line of JSON from any language.
"""

import argparse

import numpy as np

from detector.sweep import log

EPOCHS = 12


def main(lr: float, momentum: float) -> None:
    """Fit a polynomial to noisy points, and report its loss after each epoch."""
    x = np.linspace(-1, 1, 50)
    features = np.stack([x**power for power in range(4)], axis=1)
    truth = features @ [0.5, -1.0, 0.3, 0.8] + np.random.default_rng(0).normal(0, 0.05, 50)
    weights, velocity = np.zeros(4), np.zeros(4)
    for _ in range(EPOCHS):
        error = features @ weights - truth
        velocity = momentum * velocity - lr * features.T @ error / len(x)
        weights = weights + velocity
        log({"loss": float(np.mean((features @ weights - truth) ** 2))})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--momentum", type=float, required=True)
    main(**vars(parser.parse_args()))
