"""The folds' models become one: see `detector.ensemble.build`."""
