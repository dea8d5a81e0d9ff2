"""scikit-learn: anything with `partial_fit`.

pip install lcpfn-jax scikit-learn

Prints

    stopped at epoch 39 of 60
    The run beats 0.99 by step 60 with probability 1.9% (final value 0.9351,
    90% between 0.9212 and 0.9542); stopped at confidence 0.975.
"""

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

from lcpfn.integrations.sklearn import partial_fit

x, y = load_digits(return_X_y=True)
x, x_valid, y, y_valid = train_test_split(x, y, random_state=0)
watch = partial_fit(
    SGDClassifier(random_state=0), (x, y), (x_valid, y_valid), 60, beat=0.99
)
print("stopped at epoch", watch.epoch, "of 60")
print(watch.reason)
