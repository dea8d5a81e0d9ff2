"""The weights in `checkpoints/domhan`: LC-PFN's prior.

Command:    lcpfn pretrain domhan
Hardware:   two CPU cores, shared with other work
Wall time:  105 minutes for 448,000 curves, each seen at all of its cutoffs
Parameters: 1,077,360
Score:      mean log-density 1.774 / 2.147 / 2.423 / 2.545 at 10 / 20 / 40 / 80 %
            (`eval/results/domhan.json`; LC-PFN's best: 1.758 / 2.133 / 2.403 / 2.519)
"""

from lcpfn.config import ModelConfig
from lcpfn.train.config import Augment, TrainConfig

DOMHAN = TrainConfig(
    prior="lcpfn",
    model=ModelConfig(layers=6),
    augment=Augment(hidden=0.15),
    steps=14_000,
    batch=32,
    learning_rate=2e-2,
    save_every=250,
    validation=1024,
)
