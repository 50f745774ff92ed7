"""The sweep file: the schema of `wandb sweep`, its search space, its command, and its checks."""
