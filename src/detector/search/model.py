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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]

_FADING = (0.12, 0.4)
"""Times by which the fast and the slow share fall to 1/e, as shares of a whole trial."""
_LEVEL, _FAST, _SLOW = range(3)
"""A curve's three coefficients: its final level, its fast share and its slow share."""
_MEAN_VARIANCES = np.array([25.0, 9.0, 9.0])
"""Of the three coefficients' means: wide, the values have deviation 1."""
_JITTER = 1e-6
_FANTASY_VARIANCE = 1e-3

_LENGTH = (math.log(0.6), math.log(0.8), 0.7)
"""Prior of the log length scales: mean for the level, mean for the shares, deviation."""
_LOG_VARIANCES = {
    "level": (math.log(1.0), 0.7),
    "fast": (math.log(0.7), 0.9),
    "slow": (math.log(0.7), 0.9),
    "own_level": (math.log(0.03), 1.0),
    "own_slow": (math.log(0.03), 1.0),
    "noise": (math.log(0.01), 1.0),
    "early_noise": (math.log(0.03), 1.0),
}
"""Prior of the log of each of `_Variances`: mean, deviation."""
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


class _Variances(NamedTuple):
    """The variances that the process has; their logs are its last parameters, in this order.

    Attributes:
        level: of the final level, between configurations.
        fast: of the fast share.
        slow: of the slow share.
        own_level: of a trial's own level: two runs of one configuration differ.
        own_slow: of a trial's own slow share.
        noise: of an epoch's noise.
        early_noise: of an early epoch's additional noise.
    """

    level: float
    fast: float
    slow: float
    own_level: float
    own_slow: float
    noise: float
    early_noise: float


@dataclass(frozen=True)
class _Summaries:
    """Curves by their coefficients: `seen` = `mixing` @ coefficients + noise of variance 1.

    Attributes:
        mixing: (trials, 3, 3); rows of zeros where a curve determines less than three numbers.
        seen: (trials, 3).
        constant: what the summary leaves out of the negative log likelihood.
    """

    mixing: Array
    seen: Array
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
        scales = [_LOG_VARIANCES[name] for name in _Variances._fields]
        means = [mean for mean, _ in scales]
        deviations = [deviation for _, deviation in scales]
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
        """Take the final levels of trials for known.

        Args:
            features: their configurations (trials, features).
            levels: what to take for known (trials,).
            trials: their indices in what was learned. An index beyond it is a trial about which
                nothing is known.
        """
        observed = self._summarise()
        count = len(features)
        mixing = np.zeros((count, 3, 3))
        mixing[:, 0, _LEVEL] = 1 / math.sqrt(_FANTASY_VARIANCE)
        seen = np.zeros((count, 3))
        seen[:, 0] = levels * mixing[:, 0, _LEVEL]
        self._condition(
            np.vstack([self._observed.features, features]),
            np.concatenate([np.arange(len(self._observed.features)), trials]),
            _Summaries(
                np.concatenate([observed.mixing, mixing]),
                np.concatenate([observed.seen, seen]),
                observed.constant,
            ),
        )

    def believe(self, features: Array, trials: NDArray[np.intp] | None = None) -> Belief:
        """Final levels of configurations: of a run yet to come on average, or of `trials`.

        Args:
            features: (n, features).
            trials: (n,) indices as `assume` takes them.
        """
        variances = self._variances
        squares = self._squares_of(features, self._features)
        alike = _matern_alone(squares @ np.exp(-2 * self.theta[: self._parameters]))
        covariance = _MEAN_VARIANCES[_LEVEL] + variances.level * alike
        prior = _MEAN_VARIANCES[_LEVEL] + variances.level
        if trials is not None:
            same = trials[:, None] == self._trials[None]
            covariance = covariance + variances.own_level * same
            prior = prior + variances.own_level
        mixed = covariance[:, :, None] * self._level_mixing[None]
        with_seen = mixed.reshape(len(features), -1)[:, self._kept]
        explained = solve_triangular(self._root, with_seen.T, lower=True)
        left = np.maximum(prior - (explained**2).sum(axis=0), 1e-9)
        return Belief(with_seen @ self._weights, left)

    def loss(self, theta: Array) -> tuple[float, Array]:
        """Negative log posterior of the parameters, and its gradient.

        For the gradient by the noise of an epoch, see the derivative of a Gaussian's likelihood by
        a diagonal term (Rasmussen and Williams 2006, equation 5.9) after Woodbury's identity.
        """
        observed, size = self._observed, self._parameters
        variances = _Variances(*np.exp(theta[2 * size :]))
        noise = self._noise(variances)
        summaries = self._summarise(noise)
        kernels = self._kernels(theta, self._squares)
        blocks = _coefficient_covariances(variances, kernels, np.eye(len(observed.features)))
        total, spread = _covariance_of_seen(summaries.mixing, blocks)
        try:
            root = np.linalg.cholesky(total)
        except np.linalg.LinAlgError:
            return _NO_FIT, np.zeros_like(theta)
        seen = summaries.seen.ravel()
        weights = cho_solve((root, True), seen)
        offset = (theta - self._prior_mean) / self._prior_deviation
        loss = (
            0.5 * seen @ weights
            + np.log(np.diag(root)).sum()
            + summaries.constant
            + 0.5 * offset @ offset
        )
        inverse = cho_solve((root, True), np.eye(len(seen)))
        slope = self._kernel_slope(variances, kernels, summaries.mixing, weights, inverse)
        slope[-2:] = self._noise_slope(variances, noise, blocks, spread, weights, inverse)
        return float(loss), offset / self._prior_deviation - slope

    def _kernel_slope(
        self,
        variances: _Variances,
        kernels: _Kernels,
        mixing: Array,
        weights: Array,
        inverse: Array,
    ) -> Array:
        """Of the log likelihood by all parameters; by those of the noise it is left 0."""
        count = len(mixing)
        outer = (np.outer(weights, weights) - inverse).reshape(count, 3, count, 3)
        level, fast, slow = (
            np.einsum("na,namb,mb->nm", mixing[:, :, k], outer, mixing[:, :, k], optimize=True)
            for k in (_LEVEL, _FAST, _SLOW)
        )
        shares = fast * variances.fast + slow * variances.slow
        by_log_variance = _Variances(
            level=variances.level * (level * kernels.level).sum(),
            fast=variances.fast * (fast * kernels.shares).sum(),
            slow=variances.slow * (slow * kernels.shares).sum(),
            own_level=variances.own_level * np.trace(level),
            own_slow=variances.own_slow * np.trace(slow),
            noise=0.0,
            early_noise=0.0,
        )
        slopes = [
            variances.level * np.einsum("nm,nmp->p", level, kernels.level_slopes),
            np.einsum("nm,nmp->p", shares, kernels.shares_slopes),
            np.array(by_log_variance),
        ]
        return 0.5 * np.concatenate(slopes)

    def _noise_slope(
        self,
        variances: _Variances,
        noise: Array,
        blocks: Array,
        spread: Array,
        weights: Array,
        inverse: Array,
    ) -> Array:
        """Of the log likelihood by the logs of `noise` and `early_noise`."""
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
        early = np.broadcast_to(self._fading[:, _SLOW] ** 2, (count, len(self._fading)))
        return 0.5 * np.array(
            [variances.noise * by_noise.sum(), variances.early_noise * (early * by_noise).sum()]
        )

    @property
    def _variances(self) -> _Variances:
        return _Variances(*np.exp(self.theta[2 * self._parameters :]))

    def _noise(self, variances: _Variances) -> Array:
        """Variance of each epoch's noise (trials, epochs)."""
        early = variances.early_noise * self._fading[:, _SLOW] ** 2
        by_epoch = variances.noise + early + _JITTER
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
        determined = size > 1e-7 * np.maximum(size[:, -1:], 1e-12)
        root = np.sqrt(np.where(determined, size, 0.0))
        direction = direction.transpose(0, 2, 1)
        numbers = (direction @ weighted[:, :, None])[:, :, 0]
        numbers = np.where(determined, numbers / np.where(determined, root, 1.0), 0.0)
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
        total, _ = _covariance_of_seen(summaries.mixing, blocks)
        self._kept = np.flatnonzero(np.abs(summaries.mixing).sum(axis=2).ravel())
        self._root = np.linalg.cholesky(total[np.ix_(self._kept, self._kept)])
        self._weights = cho_solve((self._root, True), summaries.seen.ravel()[self._kept])
        self._level_mixing = summaries.mixing[:, :, _LEVEL]
        self._features, self._trials = features, trials


def _coefficient_covariances(variances: _Variances, kernels: _Kernels, same: Array) -> Array:
    """Covariances of the level, the fast and the slow share (3, trials, trials); `same` is 1 for
    a trial and itself."""
    level, fast, slow = _MEAN_VARIANCES
    return np.stack(
        [
            level + variances.level * kernels.level + variances.own_level * same,
            fast + variances.fast * kernels.shares,
            slow + variances.slow * kernels.shares + variances.own_slow * same,
        ]
    )


def _covariance_of_seen(mixing: Array, blocks: Array) -> tuple[Array, Array]:
    """Covariance of what is seen of the trials, with each other (3 trials, 3 trials) and with the
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
