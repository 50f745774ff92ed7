"""detsweep's own search: configurations and early endings from the learning curves so far.

Plain data in, plain data out; where trials are kept and who runs them is not known here. What it
saves against W&B's engine is measured in `benchmarks/sweep`.
"""
