"""The folds' models become one: see `build_ensemble`."""

from detector.ensemble.build import CandidateScore, EnsembleResult, build_ensemble

__all__ = ["CandidateScore", "EnsembleResult", "build_ensemble"]
