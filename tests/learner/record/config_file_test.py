"""Configurations as YAML, and how two of them differ."""

import pathlib

import pytest
import yaml

from experiments.command.command_line import choose
from experiments.command.presets import PRESETS
from learner.config import Config, ConfigError
from learner.record.config_file import differences, load, save
from tests.learner.settings import changed, every_preset, flat, other


@every_preset
def test_presets_survive_a_file(name, tmp_path):
    path = tmp_path / "config.yaml"
    save(choose(PRESETS, name), path)
    assert load(path, Config()) == choose(PRESETS, name)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("field", flat(Config()))
def test_every_field_survives_a_file(field, tmp_path):
    value = {
        "algorithm": "stacx",
        "actors__compression": "zlib",
        "network__torso": "mlp",
        "network__precision": "bfloat16",
        "loss__reduction": "mean",
        "optimiser__name": "sgd",
        "meta__bootstrap_batches": "same",
        "meta__continue_from": "bootstrap",
        "meta__matching": "l2",
        "meta__bootstrap_optimiser": "adam",
    }.get(field, other(flat(Config())[field]))
    config = changed(Config(), **{field: value})
    assert config != Config()
    save(config, tmp_path / "config.yaml")
    assert load(tmp_path / "config.yaml", Config()) == config


def test_saving_in_vain_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "config.yaml"
    save(choose(PRESETS, "catch"), path)

    def on_a_full_disk(self, text):
        with self.open("w") as file:
            file.write(text[:40])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", on_a_full_disk)
    with pytest.raises(OSError, match="No space"):
        save(choose(PRESETS, "atari"), path)
    assert load(path, Config()) == choose(PRESETS, "catch")


def load_text(text, tmp_path, base=None):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load(path, base or Config())


def test_fields_that_a_file_lacks_stay_as_they_are(tmp_path):
    base = choose(PRESETS, "catch")
    text = "seed: 5\nmeta: {clip: 1, tuned: [trace]}\n"
    assert load_text(text, tmp_path, base) == changed(
        base, seed=5, meta__clip=1.0, meta__tuned=("trace",)
    )


def test_numbers_with_an_exponent_are_numbers(tmp_path):
    """YAML takes 1e-3, without a dot, for a string."""
    config = load_text("optimiser: {learning_rate: 1e-3}", tmp_path)
    assert config.optimiser.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sead: 1", ["unknown field 'sead'", "mean seed?"]),
        ("meta: {cliip: 1}", ["unknown field 'meta.cliip'", "mean clip?"]),
        ("qqqqq: 1", ["unknown field 'qqqqq'"]),
        ("1: 2", ["unknown field '1'"]),
        ("frames: many", ["frames = 'many'", "int"]),
        ("frames: 1.5", ["frames = 1.5", "int"]),
        ("frames: true", ["frames = True", "int"]),
        ("frames: null", ["frames = None", "int"]),
        ("task: 5", ["task = 5", "str"]),
        ("actors: {in_process: 1}", ["actors.in_process = 1", "bool"]),
        ("log_seconds: fast", ["log_seconds = 'fast'", "float"]),
        ("algorithm: dqn", ["algorithm = 'dqn'", "impala, stacx, bmg"]),
        ("algorithm: [bmg]", ["algorithm = ['bmg']", "impala, stacx, bmg"]),
        ("meta: 3", ["meta", "must hold fields"]),
        ("meta: {tuned: discount}", ["meta.tuned = 'discount'", "a list"]),
        ("network: {channels: [16, x]}", ["network.channels = 'x'", "int"]),
        ("", ["not a mapping"]),
        ("- 1", ["not a mapping"]),
        ("seed: [1", ["mine.yaml"]),
        ("out: 2024-02-30", ["mine.yaml", "day"]),
    ],
)
def test_a_file_with_a_mistake_is_refused_in_one_line(text, words, tmp_path):
    with pytest.raises(ConfigError) as error:
        load_text(text, tmp_path)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match="gone.yaml"):
        load(tmp_path / "gone.yaml", Config())
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="binary"):
        load(tmp_path / "binary", Config())
    with pytest.raises(ConfigError, match="directory"):
        load(tmp_path, Config())


def test_the_file_is_plain_yaml(tmp_path):
    save(Config(), tmp_path / "config.yaml")
    fields = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert fields["task"] == "Pong-v5"
    assert fields["network"]["channels"] == [16, 32, 32]


# What may differ in a continuation.

FREE = {
    *("out", "address", "evaluation_episodes", "evaluation_frames"),
    *("log_seconds", "writers", "page_minutes", "optimiser__initial_scale"),
    *("actors__count", "actors__min", "actors__patience"),
    *("actors__cpus", "actors__threads"),
    *("actors__timeout", "actors__max_failures"),
    *("learner__hosts", "learner__devices"),
    *("learner__gpus", "learner__tpus", "learner__cpus"),
    *("learner__prefetch", "learner__max_skipped", "learner__max_restarts"),
    *("checkpoint__seconds", "checkpoint__updates"),
    *("checkpoint__keep", "checkpoint__milestones"),
}


def test_free_fields_are_fields():
    assert FREE.issubset(flat(Config()))


@pytest.mark.parametrize("field", flat(Config()))
def test_a_field_differs_unless_it_is_free(field):
    here = Config()
    value = flat(here)[field]
    there = changed(here, **{field: other(value)})
    expected = {field.replace("__", "."): (other(value), value)}
    assert differences(there, here) == ({} if field in FREE else expected)


def test_equal_configurations_do_not_differ():
    assert differences(choose(PRESETS, "catch"), choose(PRESETS, "catch")) == {}
