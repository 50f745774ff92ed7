"""The places where sweeps can live: Optuna storages of several kinds, and W&B."""
