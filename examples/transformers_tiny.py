"""Hugging Face Trainer: stop when the evaluation loss will hardly improve.

pip install 'lcpfn-jax[transformers]'

Prints, behind the trainer's own log

    stopped at epoch 29 of 40
    The run beats its own best, 0.314485, by 0.01 by step 1520 with probability 2.2%
    (final value 0.3248, 90% between 0.3155 and 0.3328); stopped at confidence 0.975.
"""

import tempfile

import torch
import transformers

from lcpfn.integrations.transformers import LCEarlyStoppingCallback


class Tiny(torch.nn.Module):
    """A linear model with the interface that the trainer expects."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)

    def forward(self, x, labels):
        """Loss and score."""
        score = self.layer(x)[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(score, labels)
        return {"loss": loss, "logits": score}


generator = torch.Generator().manual_seed(0)
x = torch.randn(400, 8, generator=generator)
y = (x[:, 0] + 0.5 * torch.randn(400, generator=generator) > 0).float()
rows = [{"x": a, "labels": b} for a, b in zip(x, y, strict=True)]
callback = LCEarlyStoppingCallback("eval_loss", mode="min", min_delta=0.01)
with tempfile.TemporaryDirectory() as folder:
    trainer = transformers.Trainer(
        model=Tiny(),
        args=transformers.TrainingArguments(
            folder,
            num_train_epochs=40,
            learning_rate=0.05,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=rows[:300],
        eval_dataset=rows[300:],
        callbacks=[callback],
    )
    trainer.train()
print(f"stopped at epoch {trainer.state.epoch:g} of 40")
print(callback.run_monitor.reason)
