"""The weights in `checkpoints/domhan`: LC-PFN's prior.

Command:    lcpfn pretrain domhan
"""

from lcpfn.config import ModelConfig
from lcpfn.train.config import Augment, TrainConfig

DOMHAN = TrainConfig(
    prior="lcpfn",
    model=ModelConfig(layers=3),
    augment=Augment(hidden=0.15),
    steps=4_500,
    batch=32,
    learning_rate=2e-2,
    save_every=250,
    validation=1024,
)
