"""Tables -> Report and Verdict."""
