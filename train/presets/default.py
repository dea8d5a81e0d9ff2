"""The weights in `checkpoints/default`: curves of the broad prior, and whole searches.

Command:    lcpfn pretrain default
Hardware:   one H200, 0.08 s a step after three minutes of compiling; ended after its
            ten minutes at step 5,750, whose running average is what ships
Score:      `eval/results/suites.json` and `context.json`, see docs/results.md
"""

from dataclasses import replace

from lcpfn.train.presets.curves import CURVES

DEFAULT = replace(
    CURVES,
    lengths=(128, 128, 128, 128, 4096),
    searches=0.6,
    runs=32,
    cutoffs=7,
    model=replace(CURVES.model, others=64),
    steps=8_000,
    batch=2048,
    chunk=2048,
    skips=20,
    keep=1,
    seed=5,
)
