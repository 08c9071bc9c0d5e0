"""The command line: commands, presets, display."""
