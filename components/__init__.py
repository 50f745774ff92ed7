"""Kubeflow components: each is one step of the pipeline, a few lines over `detector.steps`.

What a person wants to see in the Kubeflow UI (metrics, reports, the model) is written here; the
work itself, and everything that a later step reads, lies in the run store.
"""
