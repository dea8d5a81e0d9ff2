"""The size of the network, and how sharp its forecasts are."""

from dataclasses import dataclass

from lcpfn.tokens import TOKEN_FEATURES

# Far above any network of this kind: what is larger is a mistake or an attack.
MOST = {
    "width": 1 << 14,
    "layers": 64,
    "heads": 1 << 10,
    "hidden": 1 << 16,
    "head_hidden": 1 << 16,
    "components": 1 << 10,
    "context": 1 << 16,
    "others": 1 << 16,
    "plan": 1 << 16,
}
OPTIONAL = ("others", "plan")  # these may be 0

# From so many observations on a run alone is told what the network says.
FADED = 128
# So many times as far as expected a Gaussian is as unlikely as `tilt` makes any.
FAR = 2.0
CALIBRATION = ("temperature", "temperature_among")


@dataclass(frozen=True)
class ModelConfig:
    """Size of the network, and how sharp its forecasts are.

    A prior is broader than what is recorded, so the network promises too much and is
    less certain than it could be. Three numbers correct that; `lcpfn.eval.studies.
    calibrate` finds them. A tilt of 0 and temperatures of 1 change nothing.

    Attributes:
        width: of the residual stream.
        layers: attention blocks.
        heads: attention heads; must divide `width`.
        hidden: of the gated feed-forward blocks.
        head_hidden: of the gated block in the head, which runs once per query.
        components: Gaussians in the predicted mixture.
        context: most tokens of one curve; longer curves are pooled onto them.
        others: width of the attention over other runs of a task; 0: it knows none.
        plan: width of what it is told of a planned learning rate; 0: it knows none.
        best: whether the network also predicts the best value up to the horizon.
        masked: features of a token that the network does not see, to measure what they
            are worth; indices below `TOKEN_FEATURES`.
        tilt: how much less a Gaussian counts the farther it is from the newest value,
            the logarithm for one as far as the mixture expects, after one observation.
            It fades with the logarithm of their number; where other runs are given
            there is none.
        temperature: of the weights of the Gaussians; below one the likely ones count
            for more. It fades likewise.
        temperature_among: the same where other runs are given; it does not fade.
        plan_from: share of a run from which on a forecast that knows a plan is
            believed; before, it is mixed with the one without, by the square of how far
            the run is on the way there.
    """

    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 256
    head_hidden: int = 128
    components: int = 16
    context: int = 128
    others: int = 0
    plan: int = 0
    best: bool = False
    masked: tuple[int, ...] = ()
    tilt: float = 0.0
    temperature: float = 1.0
    temperature_among: float = 1.0
    plan_from: float = 0.0

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            size, least = getattr(self, name), int(name not in OPTIONAL)
            if type(size) is not int or not least <= size <= most:
                kind = "a positive integer up" if least else "an integer from 0"
                raise ValueError(f"{name} must be {kind} to {most}, got {size!r:.80}")
        if self.width % self.heads:
            raise ValueError(
                f"heads must divide width, got {self.heads} and {self.width}"
            )
        if type(self.best) is not bool:
            raise ValueError(f"best must be true or false, got {self.best!r:.80}")
        for name in CALIBRATION:
            number = getattr(self, name)
            if type(number) not in (int, float) or not 0 < number <= 10:
                raise ValueError(
                    f"{name} must be a number above 0 and up to 10, got {number!r:.80}"
                )
        if type(self.tilt) not in (int, float) or not 0 <= self.tilt <= 10:
            raise ValueError(f"tilt must lie in [0, 10], got {self.tilt!r:.80}")
        share = self.plan_from
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise ValueError(f"plan_from must lie in [0, 1], got {share!r:.80}")
        masked, known = self.masked, range(TOKEN_FEATURES)
        if not isinstance(masked, list | tuple) or not all(
            type(index) is int and index in known for index in masked
        ):
            raise ValueError(
                f"masked must hold indices below {TOKEN_FEATURES}, got {masked!r:.80}"
            )
        object.__setattr__(self, "masked", tuple(masked))  # a card has a list
