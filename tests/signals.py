"""The signal that ends a process at once: SIGKILL, and on Windows any that `os.kill` sends."""

import signal
import sys

if sys.platform == "win32":
    KILL = signal.SIGTERM
else:
    KILL = signal.SIGKILL
