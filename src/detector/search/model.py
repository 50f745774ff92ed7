"""A Gaussian process over configurations and epochs, learned from unfinished curves.

A curve is a sum of a final level and of two shares that fade towards the last epoch, a fast and a
slow one; each of the three depends on the configuration through a process of its own, so that
curves may cross. It is the linear model of coregionalisation (Álvarez, Rosasco and Lawrence 2012,
"Kernels for vector-valued functions", section 4.2) with the epochs as outputs; what it is used for
is that of Swersky, Snoek and Adams 2014, "Freeze-thaw Bayesian optimization". A whole curve counts
by its three coefficients, which keeps the algebra at three rows a trial however many epochs it has.

It knows nothing of goals, distributions or trials' states.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]

_FADING = (0.12, 0.4)
"""Times by which the fast and the slow share fall to 1/e, as shares of a whole trial."""
_MEAN_VARIANCES = np.array([25.0, 9.0, 9.0])
"""Of the three coefficients' means: wide, the values have deviation 1."""
_JITTER = 1e-6
_FANTASY_VARIANCE = 1e-3

_LENGTH = (math.log(0.6), math.log(0.8), 0.7)
"""Prior of the log length scales: mean for the level, mean for the shares, deviation."""
_SCALES = (
    # Prior of the log variances: mean, deviation.
    (math.log(1.0), 0.7),  # of the final level
    (math.log(0.7), 0.9),  # of the fast share
    (math.log(0.7), 0.9),  # of the slow share
    (math.log(0.03), 1.0),  # of a trial's own level: two runs of one configuration differ
    (math.log(0.03), 1.0),  # of a trial's own slow share
    (math.log(0.01), 1.0),  # of an epoch's noise
    (math.log(0.03), 1.0),  # of an early epoch's additional noise
)
_PRIOR_DEVIATIONS = 3.0
_NO_FIT = 1e10


def fading(horizon: int) -> Array:
    """How much of the level and of each fading share a curve has after each epoch (horizon, 3).

    >>> fading(20)[[0, -1]]
    array([[1., 1., 1.],
           [1., 0., 0.]])
    """
    gone = np.arange(horizon) / max(1, horizon - 1)
    shares = [
        (np.exp(-gone / time) - math.exp(-1 / time)) / (1 - math.exp(-1 / time)) for time in _FADING
    ]
    return np.stack([np.ones(horizon), *shares], axis=1)


@dataclass(frozen=True)
class Observed:
    """Curves to learn from.

    Attributes:
        features: their configurations (trials, features).
        values: mean about 0, deviation about 1 (trials, epochs); what is not known is NaN.
    """

    features: Array
    values: Array


@dataclass(frozen=True)
class Belief:
    """What is believed of final levels."""

    mean: Array
    variance: Array


@dataclass(frozen=True)
class _Summaries:
    """Curves by their coefficients: `told` = `mixing` @ coefficients + noise of variance 1.

    Attributes:
        mixing: (trials, 3, 3); rows of zeros where a curve tells less than three numbers.
        told: (trials, 3).
        constant: what the summary leaves out of the negative log likelihood.
    """

    mixing: Array
    told: Array
    constant: float


@dataclass(frozen=True)
class _Kernels:
    """How alike configurations are, in their level and in their shares (n, m), and the derivatives
    by the log length scales (n, m, parameters)."""

    level: Array
    shares: Array
    level_slopes: Array
    shares_slopes: Array


class CurveModel:
    """The process, with parameters fitted as the mode of their posterior.

    Args:
        parameter_of_feature: which parameter each column of the features belongs to; columns of
            one parameter have one length scale.
        horizon: epochs of a whole trial.
    """

    def __init__(self, parameter_of_feature: NDArray[np.intp], horizon: int):
        self._parameter_of_feature = parameter_of_feature
        self._parameters = int(parameter_of_feature.max()) + 1
        self._fading = fading(horizon)
        level, shares, deviation = _LENGTH
        means = [mean for mean, _ in _SCALES]
        deviations = [deviation for _, deviation in _SCALES]
        self._prior_mean = np.array(
            [level] * self._parameters + [shares] * self._parameters + means
        )
        self._prior_deviation = np.array([deviation] * (2 * self._parameters) + deviations)
        self.theta = self._prior_mean.copy()

    def fit(self, observed: Observed, steps: int) -> None:
        """Learn the curves; improve the parameters by at most so many steps, from where they are.

        Raises:
            numpy.linalg.LinAlgError: the values are not finite.
        """
        self._observed = observed
        self._squares = self._squares_of(observed.features, observed.features)
        if steps:
            reach = _PRIOR_DEVIATIONS * self._prior_deviation
            found = minimize(
                self.loss,
                self.theta,
                jac=True,
                method="L-BFGS-B",
                bounds=list(zip(self._prior_mean - reach, self._prior_mean + reach, strict=True)),
                options={"maxiter": steps},
            )
            if found.fun < _NO_FIT:
                self.theta = found.x
        self._condition(observed.features, np.arange(len(observed.features)), self._summarise())

    def assume(self, features: Array, levels: Array, trials: NDArray[np.intp]) -> None:
        """Take final levels for known, those of `trials` by their index in what was learned; an
        index beyond it is a trial of which nothing is known."""
        known = self._summarise()
        count = len(features)
        mixing = np.zeros((count, 3, 3))
        mixing[:, 0, 0] = 1 / math.sqrt(_FANTASY_VARIANCE)
        told = np.zeros((count, 3))
        told[:, 0] = levels * mixing[:, 0, 0]
        self._condition(
            np.vstack([self._observed.features, features]),
            np.concatenate([np.arange(len(self._observed.features)), trials]),
            _Summaries(
                np.concatenate([known.mixing, mixing]),
                np.concatenate([known.told, told]),
                known.constant,
            ),
        )

    def believe(self, features: Array, trials: NDArray[np.intp] | None = None) -> Belief:
        """Final levels of configurations: of a run yet to come on average, or of `trials`."""
        variance = self._variances
        squares = self._squares_of(features, self._features)
        alike = _matern_alone(squares @ np.exp(-2 * self.theta[: self._parameters]))
        covariance = _MEAN_VARIANCES[0] + variance[0] * alike
        prior = _MEAN_VARIANCES[0] + variance[0]
        if trials is not None:
            covariance = covariance + variance[3] * (trials[:, None] == self._trials[None])
            prior = prior + variance[3]
        told = (covariance[:, :, None] * self._level_mixing[None]).reshape(len(features), -1)
        told = told[:, self._kept]
        explained = solve_triangular(self._root, told.T, lower=True)
        left = np.maximum(prior - (explained**2).sum(axis=0), 1e-9)
        return Belief(told @ self._weights, left)

    def loss(self, theta: Array) -> tuple[float, Array]:
        """Negative log posterior of the parameters, and its gradient.

        For the gradient by the noise of an epoch, see the derivative of a Gaussian's likelihood by
        a diagonal term (Rasmussen and Williams 2006, equation 5.9) after Woodbury's identity.
        """
        observed, size = self._observed, self._parameters
        variance = np.exp(theta[2 * size :])
        noise = self._noise(variance)
        summaries = self._summarise(noise)
        kernels = self._kernels(theta, self._squares)
        blocks = _coefficient_covariances(variance, kernels, np.eye(len(observed.features)))
        total, spread = _told_covariance(summaries.mixing, blocks)
        try:
            root = np.linalg.cholesky(total)
        except np.linalg.LinAlgError:
            return _NO_FIT, np.zeros_like(theta)
        told = summaries.told.ravel()
        weights = cho_solve((root, True), told)
        offset = (theta - self._prior_mean) / self._prior_deviation
        loss = (
            0.5 * told @ weights
            + np.log(np.diag(root)).sum()
            + summaries.constant
            + 0.5 * offset @ offset
        )
        inverse = cho_solve((root, True), np.eye(len(told)))
        slope = self._kernel_slope(variance, kernels, summaries.mixing, weights, inverse)
        slope[-2:] = self._noise_slope(variance, noise, blocks, spread, weights, inverse)
        return float(loss), offset / self._prior_deviation - slope

    def _kernel_slope(
        self, variance: Array, kernels: _Kernels, mixing: Array, weights: Array, inverse: Array
    ) -> Array:
        count = len(mixing)
        outer = (np.outer(weights, weights) - inverse).reshape(count, 3, count, 3)
        level, fast, slow = (
            np.einsum("na,namb,mb->nm", mixing[:, :, k], outer, mixing[:, :, k], optimize=True)
            for k in range(3)
        )
        shares = fast * variance[1] + slow * variance[2]
        slopes = [
            variance[0] * np.einsum("nm,nmp->p", level, kernels.level_slopes),
            np.einsum("nm,nmp->p", shares, kernels.shares_slopes),
            [
                variance[0] * (level * kernels.level).sum(),
                variance[1] * (fast * kernels.shares).sum(),
                variance[2] * (slow * kernels.shares).sum(),
                variance[3] * np.trace(level),
                variance[4] * np.trace(slow),
                0.0,
                0.0,
            ],
        ]
        return 0.5 * np.concatenate(slopes)

    def _noise_slope(
        self,
        variance: Array,
        noise: Array,
        blocks: Array,
        spread: Array,
        weights: Array,
        inverse: Array,
    ) -> Array:
        count = len(noise)
        mean = np.einsum("rik,r->ik", spread, weights)
        solved = (inverse @ spread.reshape(3 * count, -1)).reshape(spread.shape)
        explained = np.einsum("rik,ril->ikl", spread, solved)
        own = np.einsum("kii->ik", blocks)[:, :, None] * np.eye(3) - explained
        known = np.isfinite(self._observed.values)
        values = np.where(known, self._observed.values, 0.0)
        residual = values - mean @ self._fading.T
        unsure = np.einsum("ek,ikl,el->ie", self._fading, own, self._fading, optimize=True)
        by_noise = known * ((residual**2 + unsure) / noise**2 - 1 / noise)
        early = np.broadcast_to(self._fading[:, 2] ** 2, (count, len(self._fading)))
        return 0.5 * np.array(
            [variance[5] * by_noise.sum(), variance[6] * (early * by_noise).sum()]
        )

    @property
    def _variances(self) -> Array:
        return np.asarray(np.exp(self.theta[2 * self._parameters :]))

    def _noise(self, variance: Array) -> Array:
        """Variance of each epoch's noise (trials, epochs)."""
        by_epoch = variance[5] + variance[6] * self._fading[:, 2] ** 2 + _JITTER
        return np.broadcast_to(by_epoch, self._observed.values.shape)

    def _summarise(self, noise: Array | None = None) -> _Summaries:
        noise = self._noise(self._variances) if noise is None else noise
        known = np.isfinite(self._observed.values)
        values = np.where(known, self._observed.values, 0.0)
        precision = known / noise
        information = np.einsum(
            "ek,ie,el->ikl", self._fading, precision, self._fading, optimize=True
        )
        weighted = (precision * values) @ self._fading
        size, direction = np.linalg.eigh(information)
        told = size > 1e-7 * np.maximum(size[:, -1:], 1e-12)
        root = np.sqrt(np.where(told, size, 0.0))
        direction = direction.transpose(0, 2, 1)
        numbers = (direction @ weighted[:, :, None])[:, :, 0]
        numbers = np.where(told, numbers / np.where(told, root, 1.0), 0.0)
        constant = 0.5 * ((precision * values**2).sum() - (numbers**2).sum())
        constant += 0.5 * np.log(noise[known]).sum()
        return _Summaries(root[:, :, None] * direction, numbers, float(constant))

    def _squares_of(self, left: Array, right: Array) -> Array:
        """Squared distances by parameter (n, m, parameters)."""
        squares = (left[:, None] - right[None]) ** 2
        starts = np.searchsorted(self._parameter_of_feature, np.arange(self._parameters))
        return np.add.reduceat(squares, starts, axis=2)

    def _kernels(self, theta: Array, squares: Array) -> _Kernels:
        size = self._parameters
        level, level_slopes = _matern(squares * np.exp(-2 * theta[:size]))
        shares, shares_slopes = _matern(squares * np.exp(-2 * theta[size : 2 * size]))
        return _Kernels(level, shares, level_slopes, shares_slopes)

    def _condition(self, features: Array, trials: NDArray[np.intp], summaries: _Summaries) -> None:
        kernels = self._kernels(self.theta, self._squares_of(features, features))
        same = (trials[:, None] == trials[None]).astype(float)
        blocks = _coefficient_covariances(self._variances, kernels, same)
        total, _ = _told_covariance(summaries.mixing, blocks)
        self._kept = np.flatnonzero(np.abs(summaries.mixing).sum(axis=2).ravel())
        self._root = np.linalg.cholesky(total[np.ix_(self._kept, self._kept)])
        self._weights = cho_solve((self._root, True), summaries.told.ravel()[self._kept])
        self._level_mixing = summaries.mixing[:, :, 0]
        self._features, self._trials = features, trials


def _coefficient_covariances(variance: Array, kernels: _Kernels, same: Array) -> Array:
    """Covariances of the level, the fast and the slow share (3, trials, trials); `same` is 1 for
    a trial and itself."""
    level, fast, slow = _MEAN_VARIANCES
    return np.stack(
        [
            level + variance[0] * kernels.level + variance[3] * same,
            fast + variance[1] * kernels.shares,
            slow + variance[2] * kernels.shares + variance[4] * same,
        ]
    )


def _told_covariance(mixing: Array, blocks: Array) -> tuple[Array, Array]:
    """Covariance of what the trials tell, with each other (3 trials, 3 trials) and with the
    coefficients (3 trials, trials, 3)."""
    count = len(mixing)
    spread = np.einsum("jak,kji->jaik", mixing, blocks).reshape(3 * count, count, 3)
    total = np.einsum("rik,ibk->rib", spread, mixing).reshape(3 * count, 3 * count)
    total[np.diag_indices(3 * count)] += 1.0
    return total, spread


def _matern_alone(squares: Array) -> Array:
    """The Matérn kernel of smoothness 5/2 at squared distances (Rasmussen and Williams 2006,
    equation 4.17)."""
    distance = np.sqrt(5 * squares)
    return np.asarray((1 + distance + distance**2 / 3) * np.exp(-distance))


def _matern(scaled: Array) -> tuple[Array, Array]:
    """The kernel at squared distances by parameter (n, m, parameters), each over its squared
    length scale, and its derivatives by the log length scales."""
    squares = scaled.sum(axis=2)
    distance = np.sqrt(5 * squares)
    slope = 5 / 3 * (1 + distance) * np.exp(-distance)
    return _matern_alone(squares), slope[:, :, None] * scaled
