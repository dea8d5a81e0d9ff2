"""The broad prior at all lengths, from fresh weights.

Command:    lcpfn pretrain broad
Hardware:   two CPU cores, shared with other work
Wall time:  20 minutes for 177,000 curves, each seen at all of its cutoffs
Parameters: 1,077,424
Score:      with an earlier form of the prior, on recorded runs: error 0.71 of that of
            the last value, CRPS 0.59; `lcpfn.train.presets.default` goes on from here
"""

from lcpfn.config import ModelConfig
from lcpfn.train.config import Augment, TrainConfig

BROAD = TrainConfig(
    prior="broad",
    lengths=(16, 32, 64, 64, 128, 128, 4096),
    model=ModelConfig(layers=6, best=True),
    augment=Augment(hidden=0.2),
    steps=2_000,
    batch=32,
    learning_rate=2e-2,
    loss_limit=15.0,
    save_every=250,
    validation=512,
)
