"""Shows a run besides its own files: TensorBoard and others."""
