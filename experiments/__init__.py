"""The command line and the paper's studies."""
