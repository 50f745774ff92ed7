"""What can go wrong between a person and Kubeflow Pipelines."""

from detector.errors import DetsweepError


class SubmitError(DetsweepError):
    """Kubeflow Pipelines did not take a run, or the run did not succeed."""


class ServerLostError(SubmitError):
    """Kubeflow Pipelines does not answer, for now."""


class NotSignedInError(SubmitError):
    """Kubeflow asks who it is, and what it was given does not do, or not any more."""


class RunGoneError(SubmitError):
    """There is no such run, or not any more."""
