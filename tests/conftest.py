"""Hypothesis' profiles: no deadline, since machines are noisy; many more examples under `make proof`."""

from hypothesis import settings

from proof import often

settings.register_profile("meshtrial", deadline=None, max_examples=often(100, 3000), print_blob=True)
settings.load_profile("meshtrial")
