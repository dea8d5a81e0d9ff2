"""The first stage of `checkpoints/default`: the broad prior, at all lengths.

Command:    lcpfn pretrain broad
Hardware:   two CPU cores, shared with other work
Parameters: 1,077,424
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
