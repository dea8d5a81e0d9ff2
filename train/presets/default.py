"""The weights in `checkpoints/default`: curves of the broad prior, and whole searches.

Command:    lcpfn pretrain default
"""

from lcpfn.config import ModelConfig
from lcpfn.train.config import Augment, TrainConfig

DEFAULT = TrainConfig(
    prior="broad",
    lengths=(128, 128, 128, 128, 4096),
    searches=0.6,
    runs=32,
    cutoffs=7,
    model=ModelConfig(layers=3, best=True, others=64),
    augment=Augment(hidden=0.2, truncated=0.08),
    steps=8_000,
    batch=2048,
    chunk=2048,
    learning_rate=2e-2,
    skips=20,
    loss_limit=15.0,
    save_every=1_000,
    keep=1,
    validation=512,
    seed=5,
)
