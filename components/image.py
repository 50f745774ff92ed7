"""The container image that every component runs in. One image serves all steps."""

import os

from detector import __version__

IMAGE = os.environ.get("DETSWEEP_IMAGE", f"detsweep/trainer:{__version__}")
"""Read when the pipeline is compiled; `DETSWEEP_IMAGE` names another registry or tag."""
