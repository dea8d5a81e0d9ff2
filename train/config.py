"""What one pre-training run is: a frozen dataclass, checked when it is made."""

from dataclasses import dataclass, field

from lcpfn.config import ModelConfig
from lcpfn.priors.base import check_shares


@dataclass(frozen=True)
class Augment:
    """How often a drawn curve is seen otherwise than one by one from step 1.

    Probabilities per curve; the rest is seen as drawn.

    Attributes:
        thinned: observations are missing at random, so steps have gaps.
        pooled: tokens are means of several observations, as where a curve is longer
            than a context.
        truncated: the first observations are missing.
        shortened: the horizon lies before the end of the curve.
        hidden: the network is not told the bounds; half as often, each one of them.
    """

    thinned: float = 0.08
    pooled: float = 0.04
    truncated: float = 0.04
    shortened: float = 0.04
    hidden: float = 0.0

    def __post_init__(self) -> None:
        check_shares(vars(self))


@dataclass(frozen=True)
class TrainConfig:
    """One pre-training run.

    Attributes:
        prior: key of `lcpfn.priors.PRIORS`, `module:attribute` or `file.py:attribute`.
        lengths: of the curves drawn from the prior, one of them per step; name one
            twice to have it twice as often. Default: the prior's own length.
        recorded: share of a batch that is drawn from recorded runs, if any are given.
        blended: share of those that are averaged with another one.
        searches: share of steps on whole searches, whose runs see each other.
        runs: of a search.
        cutoffs: at which a run of a search is asked, that before its start aside.
        planned: tell the network the learning rates that the prior planned, and train
            only what it makes of them; all else stays as the run began.
        model: size of the network.
        augment: how curves are thinned, pooled, truncated and shortened.
        steps: optimizer steps.
        batch: curves per step; where they have fewer tokens than `model.context`, as
            many as make up the same number of tokens.
        chunk: curves per gradient pass, at least one search where they come in
            searches; small ones stay in the cache of a CPU.
        targets: target steps of every cutoff, the horizon among them.
        learning_rate: peak of Muon, which moves the matrices.
        adam_learning_rate: peak of AdamW, which moves everything else.
        warmup: steps of linear warm-up; cosine decay to zero follows.
        weight_decay: of the matrices.
        clip: largest global gradient norm.
        skips: steps with a non-finite loss or gradient, which change nothing, before
            the run is given up.
        loss_limit: nats, in units of the anchor, from which on the loss of a target
            grows only logarithmically, so that one explosion does not rule a step.
        crps: weight of the CRPS of a target, in units of the anchor, beside its
            negative log-density.
        average: horizon, in steps, of the running average of the weights.
        seed: of the initial weights and of all curves.
        log_every: steps between lines of the log.
        save_every: steps between checkpoints.
        keep: checkpoints kept.
        validation: held-out curves scored with every checkpoint.
        origin: what a finetuning run starts from and learns from, to tell runs apart.
    """

    prior: str = "lcpfn"
    lengths: tuple[int, ...] = ()
    recorded: float = 0.0
    blended: float = 0.0
    searches: float = 0.0
    runs: int = 16
    cutoffs: int = 12
    planned: bool = False
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: Augment = field(default_factory=Augment)
    steps: int = 10_000
    batch: int = 32
    chunk: int = 4
    targets: int = 4
    learning_rate: float = 1e-2
    adam_learning_rate: float = 2e-3
    warmup: int = 300
    weight_decay: float = 0.01
    clip: float = 1.0
    skips: int = 0
    loss_limit: float | None = None
    crps: float = 0.0
    average: int = 400
    seed: int = 0
    log_every: int = 50
    save_every: int = 500
    keep: int = 2
    validation: int = 512
    origin: str = ""

    def __post_init__(self) -> None:
        counts = ("steps", "batch", "chunk", "targets", "average", "log_every", "runs")
        for name in (*counts, "cutoffs", "save_every", "keep", "validation"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        shares = ("recorded", "blended", "searches")
        check_shares({name: getattr(self, name) for name in shares})
        if any(length < 2 for length in self.lengths):
            raise ValueError(f"lengths must be two or more, got {self.lengths}")
        if self.searches and not (self.model.others and self.model.best):
            raise ValueError(
                "searches need a network that knows other runs and the best value: set "
                "model.others and model.best"
            )
        if self.planned and (self.recorded or self.searches or not self.model.plan):
            raise ValueError(
                "planned needs a network that knows plans, and curves of a prior that "
                "are alone: set model.plan, and neither recorded nor searches"
            )
        if self.targets < 2:
            raise ValueError("targets must be at least 2: the horizon and another one")
        if self.batch % max(self.batch // self.chunk, 1):
            raise ValueError(
                f"batch must split into equal chunks, got {self.batch} curves in "
                f"chunks of {self.chunk}"
            )
        if not 0 <= self.crps < float("inf"):
            raise ValueError(f"crps must be finite and 0 or more, got {self.crps}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(
                f"learning_rate must lie in (0, 1), got {self.learning_rate}"
            )
