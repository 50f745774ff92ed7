"""A fold on several GPUs of this machine or pod: torchrun, from its start to its end."""

import os
import subprocess
import sys
import time

from detector.errors import PreemptedError, TrainingError
from detector.interrupt import catch_sigterm
from detector.process_group import OWN_GROUP, ask_to_end
from detector.steps.run import Run

_RESTARTS = 3
"""How often torchrun starts all processes again when one of them has died, say of memory."""
_POLL_S = 0.1


def run_torchrun(run: Run, fold: int, gpus: int) -> None:
    """Train a fold with a process for each GPU, to its end.

    Raises:
        PreemptedError: SIGTERM came; the processes have ended.
        TrainingError: they ended without having trained it.
    """
    command = [sys.executable, "-m", "detector.steps.fold_node", run.url, run.sweep, str(fold)]
    processes = {"PET_NPROC_PER_NODE": str(gpus), "PET_MAX_RESTARTS": str(_RESTARTS)}
    environment = {**os.environ, "PET_STANDALONE": "1", **processes}
    with catch_sigterm() as interrupt:
        process = subprocess.Popen(command, env=environment, creationflags=OWN_GROUP)
        was_asked = False
        while process.poll() is None:
            if interrupt.requested and not was_asked:
                ask_to_end(process)
                was_asked = True
            time.sleep(_POLL_S)
    if interrupt.requested:
        raise PreemptedError(f"fold {fold} was asked to end before it was trained")
    if process.returncode != 0:
        raise TrainingError(
            f"the {gpus} processes of fold {fold} ended with exit code {process.returncode}",
            remedy="their lines above say why; one that SIGKILL ended mostly ran out of memory. "
            "Started again, the fold continues from its last finished epoch",
        )
