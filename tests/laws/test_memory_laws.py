"""What holds of a bounded memory, whatever it was told and asked, in whatever order."""

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from meshtrial.memory import BoundedMemory

STEPS = st.lists(st.tuples(st.sampled_from(["put", "get"]), st.integers(0, 12)), max_size=200)


@given(st.integers(2, 12), STEPS)
def test_a_memory_has_a_keys_last_value_and_knows_the_last_half_of_the_keys_that_it_met(
    largest: int, steps: list[tuple[str, int]]
) -> None:
    memory = BoundedMemory[int, int](largest)
    last: dict[int, int] = {}
    """Keys in the order in which they were met last, with their last values."""
    for number, (step, key) in enumerate(steps):
        if step == "put":
            memory.put(key, number)
            last.pop(key, None)
            last[key] = number
            continue
        found = memory.get(key)
        if key in [*last][-(largest // 2) :]:
            assert found is not None
        assert found in {None, last.get(key)}
        if found is None:
            last.pop(key, None)  # forgotten
        else:
            last[key] = last.pop(key)


@given(st.integers(2, 12), STEPS)
def test_a_memory_is_bounded(largest: int, steps: list[tuple[str, int]]) -> None:
    memory = BoundedMemory[int, int](largest)
    for number, (step, key) in enumerate(steps):
        if step == "put":
            memory.put(key, number)
        else:
            memory.get(key)
    # Each asked of a copy: asking for one may make another be forgotten.
    assert sum(deepcopy(memory).get(key) is not None for key in range(13)) <= largest
