"""A simulated network, served as a real controller would serve it: for the demo, and for tests end to end."""
