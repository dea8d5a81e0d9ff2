"""A run for tests: does everything a real one does.

Command:    lcpfn pretrain tiny
Hardware:   two CPU cores
Wall time:  under a minute, most of it compilation
Parameters: 27,688
Score:      none; its loss falls, that is all
"""

from lcpfn.config import ModelConfig
from lcpfn.train.config import TrainConfig

TINY = TrainConfig(
    model=ModelConfig(
        width=32, layers=2, heads=2, hidden=64, head_hidden=32, components=8
    ),
    steps=60,
    batch=8,
    warmup=10,
    log_every=10,
    save_every=20,
    validation=64,
)
