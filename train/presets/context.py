"""Other runs of the task: weights of the default preset, trained on searches too.

Command:    lcpfn pretrain context --start default
"""

from dataclasses import replace

from lcpfn.train.presets.default import DEFAULT

CONTEXT = replace(
    DEFAULT,
    model=replace(DEFAULT.model, others=64),
    searches=0.6,
    steps=6_000,
    learning_rate=1e-2,
    seed=4,
)
