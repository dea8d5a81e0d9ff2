"""The run meant for `checkpoints/default`: the broad prior, at all lengths.

Command:    lcpfn pretrain default
Hardware:   two CPU cores
Parameters: 1,077,424
Score:      none yet; no weights of this run are released
"""

from lcpfn.model import ModelConfig
from lcpfn.train.config import Augment, TrainConfig

DEFAULT = TrainConfig(
    prior="broad",
    lengths=(64, 64, 128, 128, 4096),
    model=ModelConfig(layers=6, best=True),
    augment=Augment(hidden=0.2),
    steps=14_000,
    batch=32,
    learning_rate=2e-2,
    tame=15.0,
    save_every=250,
    validation=1024,
)
