"""Starts toy agents by forking, so that each is at work in milliseconds, everything imported.

Each line of stdin holds the arguments of one agent; each line of stdout is its process id. The
agents' output goes to the file that is this script's argument. None is waited for, so that no
process id is used again while this process lives.
"""

import os
import sys
import traceback

import detector.sweep.backends.optuna  # noqa: F401  # imported once, for all agents
import detector.sweep.backends.storages  # noqa: F401
from tests.sweep.toy_agent import main as run_agent

if sys.platform == "win32":
    sys.exit("Windows cannot fork")


def main(output: str) -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            with open(output, "ab", buffering=0) as file:  # noqa: PTH123
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            _become_agent(line.split())
        print(pid, flush=True)


def _become_agent(words: list[str]) -> None:
    code = 1
    try:
        code = run_agent(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
