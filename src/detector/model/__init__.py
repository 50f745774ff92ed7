"""DBNet as plain modules, its loss and its checkpoints. No training."""
