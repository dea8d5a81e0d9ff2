"""What the weights in `checkpoints/default` make of a planned learning rate.

Command:    lcpfn pretrain planned --start default
Hardware:   two CPU cores, five minutes
Result:     `default` as it is, to the last digit, where no plan is told
Score:      `eval/results/planned_rate.json`, see docs/results.md
"""

from dataclasses import replace

from lcpfn.train.presets.default import DEFAULT

PLANNED = replace(
    DEFAULT,
    prior="scheduled",
    lengths=(64, 128),
    searches=0.0,
    planned=True,
    model=replace(DEFAULT.model, plan=256),
    steps=500,
    batch=32,
    chunk=8,
    learning_rate=1e-2,
    warmup=30,
    save_every=250,
    validation=64,
    seed=7,
)
