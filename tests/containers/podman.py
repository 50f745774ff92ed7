"""The pipeline's steps in containers, as its pods run them: not as root, and with nothing to write
to but /tmp."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.local import Process, start_process

USER = "10001:10001"
_SECRETS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD")


@dataclass(frozen=True)
class Podman:
    """Runs commands in containers of one image.

    Attributes:
        image: with the package, and Python as `python3`.
        shared: folder of this machine that the containers see, at the same path.
        environment: variables of every container.
    """

    image: str
    shared: Path
    environment: Mapping[str, str]

    def command(self, command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        variables = {**self.environment, **environment}
        return [
            *("podman", "run", "--rm", "--network=host", f"--user={USER}"),
            *("--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:rw,mode=1777"),
            *("--cap-drop=ALL", "--security-opt=no-new-privileges", "--stop-timeout=60"),
            f"--volume={self.shared}:{self.shared}",
            # By name, so that no secret shows in the list of processes.
            *(f"--env={name}" for name in _SECRETS if name in os.environ),
            *(f"--env={name}={value}" for name, value in variables.items()),
            self.image,
            # kfp.local puts this machine's Python where the image's is meant.
            *(word.replace(sys.executable, "python3") for word in command),
        ]

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> Process:
        """A step's container; see `pipelines.local.StepRunner`."""
        # kfp.local makes folders for their owner alone.
        subprocess.run(["chmod", "-R", "a+rwX", self.shared], check=True)
        return start_process(self.command(command, environment), {})

    def run(self, *command: str) -> str:
        """What a command prints.

        Raises:
            CalledProcessError: it failed.
        """
        done = subprocess.run(
            self.command(command, {}), check=True, encoding="utf-8", stdout=subprocess.PIPE
        )
        return done.stdout

    def kill(self, step: str, index: int) -> None:
        """End the container of a step as a lost node would: without a word."""
        listed = subprocess.run(
            ["podman", "ps", "--no-trunc", "--format=json"],
            check=True,
            stdout=subprocess.PIPE,
        )
        for container in json.loads(listed.stdout):
            words = container["Command"]
            if step in words and f'"index": {index}' in " ".join(words):
                subprocess.run(["podman", "kill", "--signal=KILL", container["Id"]], check=True)
                return
        pytest.fail(f"no container runs {step} {index}")


def find_image(name: str) -> str:
    """The image of this version, or one that the environment names; skips the test without it."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    from detector import __version__

    image = os.environ.get("DETSWEEP_TEST_IMAGE", f"localhost/detsweep/{name}:{__version__}")
    found = subprocess.run(["podman", "image", "exists", image], check=False)
    if found.returncode != 0:
        pytest.skip(f"there is no image {image}: build it with images/build.sh {name}")
    return image
