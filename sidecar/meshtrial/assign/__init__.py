"""Request -> Decision: pure, synchronous and total; `decide` is the one verb."""
