"""From log-density to CRPS: the last part of the training of `checkpoints/default`.

Command:    lcpfn pretrain sharp --start RUN, with the release of `lcpfn pretrain default`
Hardware:   two CPU cores, half an hour
Score:      `eval/results/suites.json` and `context.json`, see docs/results.md
"""

from dataclasses import replace

from lcpfn.train.presets.default import DEFAULT

SHARP = replace(
    DEFAULT,
    crps=1.0,
    steps=1_000,
    batch=64,
    chunk=8,
    learning_rate=3e-3,
    adam_learning_rate=3e-4,
    warmup=30,
    average=200,
    seed=6,
)
