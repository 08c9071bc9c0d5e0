"""Bootstrapped meta-gradients: knows nothing of Atari, Ray or EnvPool."""
