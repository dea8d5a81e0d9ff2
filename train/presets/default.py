"""The weights in `checkpoints/default`: three runs on the broad prior.

Each began with the weights of the one before. Between them the prior was brought closer
to recorded runs (`lcpfn.eval.studies.prior_check`); what the third saw is the prior as
it is.

Commands:   lcpfn pretrain broad --out runs/1
            lcpfn pretrain broad --start runs/1/release --out runs/2
              --set steps=5000 learning_rate=1.5e-2 seed=1
            lcpfn pretrain default --start runs/2/release --out runs/3
Hardware:   two CPU cores, shared with other work
Wall time:  20 + 50 + 22 minutes for 177,000 + 423,000 + 217,000 curves
Parameters: 1,077,424
Score:      final value of recorded runs of five sources, none of them trained on: error
            0.67 of that of the last value, CRPS 0.55 of it (`eval/results/suites.json`)
"""

from dataclasses import replace

from lcpfn.train.presets.broad import BROAD

DEFAULT = replace(BROAD, steps=2_500, learning_rate=1e-2, save_every=500, seed=2)
