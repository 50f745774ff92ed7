"""The container image that every component runs in. One image serves all steps."""

from detector.version import __version__

IMAGE = f"localhost/detsweep/trainer:{__version__}"
"""As `images/build.sh` names it. No registry has it: it is loaded into the nodes, or a run names
another by its parameter `image`."""
