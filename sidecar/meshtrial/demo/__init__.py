"""Two real models, real traffic, known truth: `meshtrial demo`."""
