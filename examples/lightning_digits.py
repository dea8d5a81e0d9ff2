"""PyTorch Lightning: stop when the digits network will hardly beat 0.99.

pip install 'lcpfn-jax[lightning]' scikit-learn

Prints, from other initial weights each time

    stopped at epoch 21 of 60
    The run beats 0.99 by step 60 with probability 1.3% (final value 0.9197,
    90% between 0.8802 and 0.9717); stopped at confidence 0.975.
"""

import torch
from lightning.pytorch import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from lcpfn.integrations.lightning import LCEarlyStopping


class Digits(LightningModule):
    """A small network."""

    def __init__(self):
        super().__init__()
        self.network = torch.nn.Sequential(
            torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
        )

    def training_step(self, batch, _):
        """Cross-entropy."""
        x, y = batch
        return torch.nn.functional.cross_entropy(self.network(x), y)

    def validation_step(self, batch, _):
        """Accuracy."""
        x, y = batch
        self.log("val_acc", (self.network(x).argmax(1) == y).float().mean())

    def configure_optimizers(self):
        """Plain SGD."""
        return torch.optim.SGD(self.parameters(), 0.05)


x, y = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y))
train, valid = torch.utils.data.random_split(data, [0.7, 0.3])
callback = LCEarlyStopping("val_acc", mode="max", bounds=(0, 1), beat=0.99)
trainer = Trainer(
    max_epochs=60,
    callbacks=[callback],
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    accelerator="cpu",
)
trainer.fit(Digits(), DataLoader(train, 64), DataLoader(valid, 1000))
print("stopped at epoch", callback.stopped_epoch + 1, "of 60")
print(callback.run_monitor.reason)
