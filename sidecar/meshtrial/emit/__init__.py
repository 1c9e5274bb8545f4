"""Plan -> the configuration of a proxy: pure, and refused where the proxy cannot do what the plan asks."""
