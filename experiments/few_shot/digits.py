"""Handwritten digits of 8x8 pixels, which ship with scikit-learn.

1,797 images (Alpaydin and Kaynak 1998). Each digit turned by 0, 90, 180 and 270
degrees makes four classes, as for Omniglot. Digits that look alike when turned
are not held out: 0, 1, 2, 8, and 6 with 9.
"""

import numpy as np

from learner.config import ConfigError

# Our choice: 24, 8 and 8 classes.
TRAIN, VALIDATION, TEST = (0, 1, 2, 6, 8, 9), (4, 5), (3, 7)


def read() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images `[C, M, 8, 8, 1]` of 0 to 16, for train, validation and test.

    M is the number of the rarest digit.

    Raises:
      ConfigError: if scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ConfigError(
            "--data digits needs scikit-learn: pip install 'bmg[few-shot]'"
        ) from None
    digits = load_digits()
    each = min(np.bincount(digits.target))
    images = np.stack(
        [digits.images[digits.target == d][:each] for d in range(10)]
    )
    # A byte holds 0 to 16.
    images = images.astype(np.uint8)[..., None]
    train, validation, test = (
        turned(images[list(part)]) for part in (TRAIN, VALIDATION, TEST)
    )
    return train, validation, test


def turned(images: np.ndarray) -> np.ndarray:
    """`[C, M, H, H, channels]` to `[4 C, …]`: each class, turned by 0, 90, 180
    and 270 degrees."""
    turns = [np.rot90(images, k, axes=(2, 3)) for k in range(4)]
    return np.concatenate(turns)
