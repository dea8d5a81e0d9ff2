"""The size of the network."""

from dataclasses import dataclass

from lcpfn.tokens import TOKEN_FEATURES


@dataclass(frozen=True)
class ModelConfig:
    """Size of the network.

    Attributes:
        width: of the residual stream.
        layers: attention blocks.
        heads: attention heads; must divide `width`.
        hidden: of the gated feed-forward blocks.
        head_hidden: of the gated block in the head, which runs once per query.
        components: Gaussians in the predicted mixture.
        context: most tokens of one curve; longer curves are pooled onto them.
        best: whether the network also predicts the best value up to the horizon.
        masked: features of a token that the network does not see, to measure what they
            are worth; indices below `TOKEN_FEATURES`.
    """

    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 256
    head_hidden: int = 128
    components: int = 16
    context: int = 128
    best: bool = False
    masked: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "masked", tuple(self.masked))  # a card has a list
        if not set(self.masked) <= set(range(TOKEN_FEATURES)):
            raise ValueError(
                f"masked must hold indices below {TOKEN_FEATURES}, got {self.masked!r}"
            )
        for name in self.__dataclass_fields__.keys() - {"best", "masked"}:
            size = getattr(self, name)
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} must be a positive integer, got {size!r}")
        if self.width % self.heads:
            raise ValueError(
                f"heads must divide width, got {self.heads} and {self.width}"
            )
