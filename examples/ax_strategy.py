"""Ax: an early-stopping strategy in the ask-and-tell client.

pip install 'lcpfn-jax[ax]'

Prints, about

    trial 0: 20 of 20 epochs
    ...
    trial 4: 3 of 20 epochs
    trial 5: 20 of 20 epochs
    trial 6: 4 of 20 epochs
    trial 7: 2 of 20 epochs
"""

from ax.api.client import Client
from ax.api.configs import RangeParameterConfig

from lcpfn.integrations.ax import LCEarlyStoppingStrategy

EPOCHS = 20

client = Client(random_seed=0)
client.configure_experiment(
    parameters=[RangeParameterConfig("top", (0.3, 0.95), "float")]
)
client.configure_optimization("accuracy")
strategy = LCEarlyStoppingStrategy(EPOCHS, min_curves=3, bounds=(0, 1))
client.set_early_stopping_strategy(strategy)
for _ in range(8):
    for index, parameters in client.get_next_trials(max_trials=1).items():
        for epoch in range(1, EPOCHS + 1):
            accuracy = parameters["top"] * epoch / (epoch + 2)
            client.attach_data(index, {"accuracy": accuracy}, progression=epoch)
            if client.should_stop_trial_early(index):
                client.mark_trial_early_stopped(index)
                break
        else:
            client.complete_trial(index)
        print(f"trial {index}: {epoch} of {EPOCHS} epochs")
