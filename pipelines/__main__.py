"""`python -m pipelines`: submit, follow or compile the pipeline."""

from pipelines.submit.commands import main

main()
