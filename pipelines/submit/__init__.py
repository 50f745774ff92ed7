"""`python -m pipelines submit`: compile the pipeline, run it on Kubeflow, and follow it.

`options` says what is asked for and checks it, `server` and `login` speak with Kubeflow Pipelines,
`run_state` and `progress` say how far a run is, `following` says it and retries it. What the steps
do is decided elsewhere.
"""
