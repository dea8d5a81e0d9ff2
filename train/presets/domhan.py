"""The weights in `checkpoints/domhan`: LC-PFN's prior, on two CPU cores.

Command:    lcpfn pretrain domhan
"""

from lcpfn.model import ModelConfig
from lcpfn.train.config import TrainConfig

DOMHAN = TrainConfig(
    prior="lcpfn",
    model=ModelConfig(layers=6),
    steps=10_000,
    batch=32,
    learning_rate=2e-2,
    save_every=250,
    validation=1024,
)
