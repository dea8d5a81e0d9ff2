"""Adapters for training and tuning frameworks.

One file per framework, each a few lines around one `lcpfn.stopping.monitor.RunMonitor`
(one run) or one `SearchMonitor` (a search). Each imports its own framework alone,
so import the one you use: `from lcpfn.integrations.optuna import LCPruner`.
"""
