"""The CRPS in the loss, for weights that were trained on the log-density alone.

Command:    lcpfn pretrain sharp --start runs/default/release
Hardware:   two CPU cores, 37 minutes, six of them to compile
Score:      `eval/results/sharp.json`, see docs/results.md; these weights do not ship
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
