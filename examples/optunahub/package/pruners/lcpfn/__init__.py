"""The package that `optunahub.load_module` finds."""

from lcpfn.integrations.optuna import LCPruner

__all__ = ["LCPruner"]
