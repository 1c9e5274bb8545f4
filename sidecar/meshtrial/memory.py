"""A mapping of a bounded number of entries that forgets those longest not asked for."""

from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class BoundedMemory(Generic[_Key, _Value]):
    """Two generations: when the younger is half of `largest`, the older is forgotten, and it takes its place.

    What is put or asked for is young again. So at least the last half of `largest` different keys are known,
    and never more than `largest`, at the cost of two look-ups and without an order to keep.
    """

    def __init__(self, largest: int) -> None:
        """`largest` is the number of entries held at most, 2 or more."""
        self._half = largest // 2
        self._young: dict[_Key, _Value] = {}
        self._old: dict[_Key, _Value] = {}

    def get(self, key: _Key) -> _Value | None:
        """What was put last for a key, None where nothing was or it is forgotten."""
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.put(key, found)
        return found

    def put(self, key: _Key, value: _Value) -> None:
        """Remember a value, which is not None, in the place of the key's last one."""
        if key not in self._young and len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = value
