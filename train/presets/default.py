"""The weights in `checkpoints/default`: the broad prior at all lengths, fresh weights.

Command:    lcpfn pretrain default
"""

from lcpfn.config import ModelConfig
from lcpfn.train.config import Augment, TrainConfig

DEFAULT = TrainConfig(
    prior="broad",
    lengths=(16, 32, 64, 64, 128, 128, 4096),
    model=ModelConfig(layers=3, best=True),
    augment=Augment(hidden=0.2, truncated=0.08),
    steps=7_000,
    batch=32,
    learning_rate=2e-2,
    loss_limit=15.0,
    save_every=250,
    validation=512,
)
