"""Run every benchmark that needs no GPU, one after the other, each in a process of its own."""

import subprocess
import sys

BENCHMARKS = ("targets", "postprocess", "cleval", "loading", "validation", "inference")

if __name__ == "__main__":
    for name in BENCHMARKS:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
