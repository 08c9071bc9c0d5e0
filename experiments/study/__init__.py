"""What all studies share; each study adds its own science.

A study is every combination (`Variant`) of the swept settings, on every seed.

- `command`: the command of a study: check, restart, claim, lock, run, report.
- `checks`: settings that cannot run are refused by name.
- `files`: where a study's files lie.
- `ledger`: which runs are done, by the files on disk.
- `resume`: steps from the start or the last checkpoint to the end.
- `lanes`: one program of all runs that differ in numbers alone.
- `chunks`: those runs, side by side on the devices, to rows on disk.
- `sharding`: arrays shared out among devices, or the same on each.
- `csv_file`: columns with units, as CSV, packed, written in one step.
- `interval`: how sure a mean over seeds is.
- `summary`: the table of variants, as `summary.csv` and on the terminal.
- `figure`: axes, intervals and legends that look alike.
- `progress_bar`: the bar, or lines where there is no terminal.

A study's package has `config` and `presets`, `variants` (combinations, and
which can run), `build` (wires one run), `curves` (the columns of its files),
`run` (from a compiled program to rows), `study` (what is to run; the command),
`report` and `figures`. Only `study` is imported before JAX's environment
variables are set: it imports `run` and `report` when they are needed.
"""
