"""The steps of the pipeline, each whole and over a `Run`: what a component or a command calls.

A step reads what earlier steps left in the run store, does its work and leaves its own result
there. Killed at any moment and run again, it continues or finds its work done.
"""
