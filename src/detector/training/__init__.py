"""One training: `detector.training.run.train(config, folds, fold, run_dir, on_epoch)`."""
