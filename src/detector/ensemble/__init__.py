"""The folds' models become one: see `build_ensemble`."""

from detector.ensemble.build import EnsembleResult, build_ensemble
from detector.ensemble.measure import CandidateScore

__all__ = ["CandidateScore", "EnsembleResult", "build_ensemble"]
