"""An Envoy configuration and a plan -> what would go wrong: pure, each finding with its place and its fix."""
