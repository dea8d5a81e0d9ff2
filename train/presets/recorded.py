"""Recorded runs beside the prior, to learn what they bring to other sources.

Command:    lcpfn pretrain recorded --start default --out runs/ONE
              --recorded ALL BUT ONE
Result:     `eval/results/left_out.json`, by `python -m lcpfn.eval.studies.left_out`
"""

from dataclasses import replace

from lcpfn.train.presets.curves import CURVES

RECORDED = replace(
    CURVES,
    recorded=0.5,
    blended=0.3,
    steps=250,
    learning_rate=3e-3,
    adam_learning_rate=3e-4,
    warmup=50,
    save_every=250,
    validation=64,
    seed=3,
)
