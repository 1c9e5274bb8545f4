"""Hypothesis' profiles: no deadline, since machines are noisy; many more examples under `make proof`."""

import gc

from hypothesis import settings

from proof import often

settings.register_profile("meshtrial", deadline=None, max_examples=often(100, 3000), print_blob=True)
settings.load_profile("meshtrial")


def pytest_unconfigure() -> None:
    # Hypothesis' callback lives as long as the interpreter, and so does all it refers to, DuckDB's module
    # too, which is then told on stderr as leaked.
    gc.callbacks.clear()
