"""The weights in `checkpoints/default`: three runs on the broad prior.

Each began with the weights of the one before. Between them the prior was brought closer
to recorded runs (`lcpfn.eval.prior_check`); what the third saw is the prior as it is.

Commands:   lcpfn pretrain broad --out runs/1
            lcpfn pretrain broad --start runs/1/release --out runs/2
              --set steps=5000 learning_rate=1.5e-2 seed=1
            lcpfn pretrain default --start runs/2/release --out runs/3
"""

from dataclasses import replace

from lcpfn.train.presets.broad import BROAD

DEFAULT = replace(BROAD, steps=2_500, learning_rate=1e-2, save_every=500, seed=2)
