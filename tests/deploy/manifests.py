"""What lies in deploy/, read."""

import pathlib

import yaml

ROOT = pathlib.Path(__file__).parents[2]


DEPLOY = ROOT / "deploy"


VALUES = yaml.safe_load((DEPLOY / "values.yaml").read_text())
