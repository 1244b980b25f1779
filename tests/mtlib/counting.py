"""Arrays that count."""

import numpy as np


class Counting(np.ndarray):
    """An array that keeps, beside each element, how often it was loaded and stored."""

    @classmethod
    def over(cls, array):
        self = array.view(cls)
        self.loads, self.stores = np.zeros(array.shape, int), np.zeros(array.shape, int)
        return self

    def __getitem__(self, key):
        part = super().__getitem__(key)
        if isinstance(part, Counting):
            part.loads, part.stores = self.loads[key], self.stores[key]
        else:
            self.loads[key] += 1
        return part

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.stores[key] += 1
