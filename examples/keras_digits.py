"""Keras 3: stop when the digits network will hardly beat 0.99.

pip install 'lcpfn-jax[keras]' scikit-learn

Prints, from other initial weights each time

    stopped at epoch 8 of 60
    The run beats 0.99 by step 60 with probability 2.0% (final value 0.7851,
    90% between 0.5143 and 0.9707); stopped at confidence 0.975.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_digits

from lcpfn.integrations.keras import LCEarlyStopping

x, y = load_digits(return_X_y=True)
network = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dense(10)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
network.compile(keras.optimizers.SGD(0.001), loss, metrics=["accuracy"])
callback = LCEarlyStopping("val_accuracy", mode="max", bounds=(0, 1), beat=0.99)
network.fit(x, y, epochs=60, validation_split=0.3, verbose=0, callbacks=[callback])
print("stopped at epoch", callback.stopped_epoch + 1, "of 60")
print(callback.run_monitor.reason)
