"""Where a training is tracked, beside its own files: nowhere, or at W&B (`tracker=wandb`)."""
