"""The weights in `checkpoints/default`: the broad prior, at all lengths.

Command:    lcpfn pretrain broad
Hardware:   two CPU cores, shared with other work
Wall time:  20 minutes for 177,000 curves, each seen at all of its cutoffs
Parameters: 1,077,424
Score:      final value of recorded runs of five sources, none of them trained on: error
            0.71 of that of the last value, CRPS 0.59 of it (`eval/results/suites.json`)
"""

from lcpfn.model import ModelConfig
from lcpfn.train.config import Augment, TrainConfig

BROAD = TrainConfig(
    prior="broad",
    lengths=(16, 32, 64, 64, 128, 128, 4096),
    model=ModelConfig(layers=6, best=True),
    augment=Augment(hidden=0.2),
    steps=2_000,
    batch=32,
    learning_rate=2e-2,
    tame=15.0,
    save_every=250,
    validation=512,
)
