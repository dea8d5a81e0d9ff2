"""Twenty trials of a made-up training; prints which were pruned, and when."""

import optuna
import optunahub

EPOCHS = 30


def objective(trial: optuna.Trial) -> float:
    """An accuracy that rises to a level of its own."""
    top = trial.suggest_float("top", 0.3, 0.95)
    pace = trial.suggest_float("pace", 1.0, 10.0)
    accuracy = 0.0
    for epoch in range(1, EPOCHS + 1):
        accuracy = top * epoch / (epoch + pace)
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


if __name__ == "__main__":
    module = optunahub.load_module(package="pruners/lcpfn")
    study = optuna.create_study(
        direction="maximize",
        pruner=module.LCPruner(horizon=EPOCHS, bounds=(0, 1)),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.optimize(objective, n_trials=20)
    for trial in study.trials:
        print(trial.number, trial.state.name, trial.last_step)
