"""The broad prior at all lengths, each curve alone, sized for two CPU cores.

Command:    lcpfn pretrain curves
Hardware:   two CPU cores, 80 minutes
Score:      forecasts of a run alone as good as those of `default` (see `default`); what
            studies and weights for a prior of one's own begin with
"""

from lcpfn.config import ModelConfig
from lcpfn.train.config import Augment, TrainConfig

CURVES = TrainConfig(
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
