"""Configurations: presets, checks, YAML and differences."""

import dataclasses
import pathlib

import pytest
import yaml

from experiments.command.command_line import choose
from experiments.command.presets import PRESETS
from learner.config import Config, ConfigError
from learner.config_check import check
from learner.record.config_file import differences, load, save


def changed(config, **changes):
    """`changed(config, meta__clip=1.0)` is `config` with that field."""
    for name, value in changes.items():
        *path, field = name.split("__")
        inner = getattr(config, path[0]) if path else config
        inner = dataclasses.replace(inner, **{field: value})
        config = dataclasses.replace(
            config, **{path[0]: inner} if path else {field: value}
        )
    return config


def flat(config, prefix=""):
    """`{"meta__clip": 0.3, …}`."""
    names = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            names |= flat(value, f"{prefix}{field.name}__")
        else:
            names[f"{prefix}{field.name}"] = value
    return names


def other(value):
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x"
    return (*value, value[-1]) if value else (7,)


every_preset = pytest.mark.parametrize("name", PRESETS)


@every_preset
@pytest.mark.parametrize("algorithm", ["impala", "stacx", "bmg"])
def test_presets_pass_the_check(name, algorithm):
    check(changed(choose(PRESETS, name), algorithm=algorithm))


def test_only_impala_has_no_auxiliary_heads():
    config = changed(Config(), loss__auxiliary_heads=4)
    heads = {
        algorithm: changed(config, algorithm=algorithm).heads
        for algorithm in ("impala", "stacx", "bmg")
    }
    assert heads == {"impala": 1, "stacx": 5, "bmg": 5}


def test_the_new_columns_are_those_that_replay_does_not_give():
    config = changed(Config(), learner__batch=18, replay__trajectories=12)
    assert config.online == 6


def test_the_folder_is_named_after_the_run_unless_it_is_given():
    config = changed(Config(), task="ALE/Pong-v5", algorithm="bmg", seed=3)
    assert config.folder == "runs/ALE-Pong-v5-bmg-3"
    assert changed(config, out="here").folder == "here"


# Impossible numbers.

NAN = float("nan")
# (changes, field in the message, value in the message, what would do)
IMPOSSIBLE = [
    ({"frames": 0}, "frames", "0", "at least 1"),
    ({"frames": -5}, "frames", "-5", "at least 1"),
    ({"seed": -1}, "seed", "-1", "negative"),
    ({"seed": 10**9}, "seed", "1000000000", "below 1,000,000,000"),
    ({"evaluation_episodes": -1}, "evaluation-episodes", "-1", "negative"),
    ({"evaluation_frames": -1}, "evaluation-frames", "-1", "negative"),
    (
        {"evaluation_frames": 9, "evaluation_episodes": 0},
        *("evaluation-frames", "9", "take 10 episodes"),
    ),
    ({"log_seconds": 0.0}, "log-seconds", "0.0", "positive"),
    ({"actors__count": 0}, "actors.count", "0", "at least 1"),
    ({"actors__envs": 0}, "actors.envs", "0", "at least 1"),
    ({"actors__envs_per_step": 0}, "actors.envs-per-step", "0", "at least 1"),
    ({"actors__threads": -1}, "actors.threads", "-1", "at least 1"),
    ({"actors__cpus": -0.5}, "actors.cpus", "-0.5", "negative"),
    ({"actors__trajectories": 0}, "actors.trajectories", "0", "at least 1"),
    ({"actors__in_flight": 0}, "actors.in-flight", "0", "at least 1"),
    ({"actors__timeout": 0.0}, "actors.timeout", "0.0", "positive"),
    ({"actors__max_failures": 0}, "actors.max-failures", "0", "at least 1"),
    ({"learner__unroll_length": 0}, "learner.unroll-length", "0", "at least 1"),
    ({"learner__batch": 0}, "learner.batch", "0", "at least 1"),
    ({"learner__devices": -1}, "learner.devices", "-1", "negative"),
    ({"learner__gpus": -1.0}, "learner.gpus", "-1.0", "negative"),
    ({"learner__prefetch": 0}, "learner.prefetch", "0", "at least 1"),
    ({"learner__max_skipped": 0}, "learner.max-skipped", "0", "at least 1"),
    ({"learner__max_restarts": -1}, "learner.max-restarts", "-1", "negative"),
    ({"meta__inner_updates": -1}, "meta.inner-updates (K)", "-1", "at least 1"),
    ({"meta__inner_updates": 0}, "meta.inner-updates (K)", "0", "at least 1"),
    (
        {"meta__bootstrap_updates": 0},
        "meta.bootstrap-updates (L)",
        "0",
        "at least 1",
    ),
    ({"meta__initial": 0.0}, "meta.initial", "0.0", "strictly between"),
    ({"meta__initial": 1.0}, "meta.initial", "1.0", "strictly between"),
    (
        {"meta__learning_rate": -1e-3},
        "meta.learning-rate",
        "-0.001",
        "negative",
    ),
    (
        {"meta__bootstrap_learning_rate": -1.0},
        "meta.bootstrap-learning-rate",
        "-1.0",
        "negative",
    ),
    ({"meta__epsilon": 0.0}, "meta.epsilon", "0.0", "1e-4"),
    ({"meta__clip": -0.1}, "meta.clip", "-0.1", "negative"),
    ({"meta__outer_kl": -1.0}, "meta.outer-kl", "-1.0", "negative"),
    (
        {"meta__value_coefficient": -1.0},
        "meta.value-coefficient",
        "-1.0",
        "negative",
    ),
    (
        {"meta__tuned": ("discount", "lambda")},
        "meta.tuned",
        "lambda",
        "must be among discount, trace, value_weight",
    ),
    ({"meta__tuned": ("alpha-rho",)}, "meta.tuned", "alpha-rho", "alpha_rho"),
    ({"loss__discount": 1.5}, "loss.discount", "1.5", "between 0 and 1"),
    ({"loss__discount": NAN}, "loss.discount", "nan", "between 0 and 1"),
    ({"loss__trace": -0.1}, "loss.trace", "-0.1", "between 0 and 1"),
    ({"loss__reward_clip": -1.0}, "loss.reward-clip", "-1.0", "negative"),
    ({"loss__auxiliary_heads": -1}, "loss.auxiliary-heads", "-1", "negative"),
    (
        {"loss__value_weight": 0.0},
        "loss.value-weight",
        "0.0",
        "leave value_weight out of meta.tuned",
    ),
    (
        {"optimiser__learning_rate": NAN},
        "optimiser.learning-rate",
        "nan",
        "negative",
    ),
    ({"optimiser__decay": 1.0}, "optimiser.decay", "1.0", "below 1"),
    ({"optimiser__epsilon": 0.0}, "optimiser.epsilon", "0.0", "1e-4"),
    ({"optimiser__clip": -1.0}, "optimiser.clip", "-1.0", "negative"),
    (
        {"optimiser__final_fraction": 1.1},
        "optimiser.final-fraction",
        "1.1",
        "between 0 and 1",
    ),
    ({"network__hidden": 0}, "network.hidden", "0", "at least 1"),
    ({"network__lstm": -4}, "network.lstm", "-4", "negative"),
    ({"network__channels": (16, 0)}, "network.channels", "0", "at least 1"),
    (
        {"network__head_hidden": (-8,)},
        "network.head-hidden",
        "-8",
        "at least 1",
    ),
    ({"replay__trajectories": -1}, "replay.trajectories", "-1", "negative"),
    ({"replay__capacity": 0}, "replay.capacity", "0", "at least 1"),
    ({"replay__kl_threshold": -1.0}, "replay.kl-threshold", "-1.0", "negative"),
    ({"checkpoint__seconds": 0.0}, "checkpoint.seconds", "0.0", "positive"),
    ({"checkpoint__updates": -1}, "checkpoint.updates", "-1", "negative"),
    ({"checkpoint__keep": 0}, "checkpoint.keep", "0", "at least 1"),
    ({"checkpoint__milestones": -1}, "checkpoint.milestones", "-1", "negative"),
    (
        {"learner__batch": 32, "learner__devices": 5},
        "learner.devices",
        "5",
        "take 30 or 35",
    ),
    (
        {"learner__batch": 3, "learner__devices": 4},
        "learner.batch",
        "3",
        "take 4",
    ),
    (
        {"actors__envs": 8, "actors__envs_per_step": 9},
        "actors.envs-per-step",
        "9",
        "at most 8",
    ),
    ({"learner__hosts": 0}, "learner.hosts", "0", "at least 1"),
    (
        {"learner__batch": 30, "learner__hosts": 2, "learner__devices": 2},
        *("learner.batch", "30", "take 28 or 32"),
    ),
    (
        {"learner__batch": 30, "learner__hosts": 4},
        *("learner.batch", "30", "learner.hosts = 4: take 28 or 32"),
    ),
    (
        {"learner__hosts": 4, "actors__count": 2},
        *("actors.count", "2", "learner.hosts = 4: take 4"),
    ),
    (
        {"learner__hosts": 2, "actors__count": 5},
        *("actors.count", "5", "take 4 or 6"),
    ),
    (
        {"learner__hosts": 2, "replay__trajectories": 5},
        *("replay.trajectories", "5", "take 4 or 6"),
    ),
    (
        {"learner__hosts": 2, "actors__min": 1},
        *("actors.min", "1", "at least 2"),
    ),
    (
        {"learner__hosts": 2, "actors__in_process": True},
        *("learner.hosts", "2", "take --learner.hosts 1"),
    ),
    (
        {"learner__batch": 16, "replay__trajectories": 16},
        "replay.trajectories",
        "16",
        "at most 15",
    ),
]


@pytest.mark.parametrize(
    ("changes", "field", "value", "remedy"),
    IMPOSSIBLE,
    ids=[f"{field}={value}" for _, field, value, _ in IMPOSSIBLE],
)
def test_impossible_numbers_are_refused_in_one_line(
    changes, field, value, remedy
):
    with pytest.raises(ConfigError) as error:
        check(changed(Config(), **changes))
    message = str(error.value)
    assert "\n" not in message
    assert f"{field} = " in message
    assert f" = {value}" in message or f" = {value!r}" in message
    assert remedy in message


@pytest.mark.parametrize(
    "changes",
    [
        {"network__channels": (), "network__head_hidden": ()},
        {"learner__batch": 32, "learner__devices": 4},
        {"learner__hosts": 4, "actors__min": 4, "replay__trajectories": 8},
        {"learner__hosts": 2, "learner__devices": 16},
        {"actors__envs": 8, "actors__envs_per_step": 8},
        {"learner__batch": 16, "replay__trajectories": 15},
        {"loss__discount": 1.0, "loss__trace": 0.0, "seed": 0},
        {"loss__value_weight": 0.0, "algorithm": "impala"},
        {"loss__value_weight": 0.0, "meta__tuned": ("discount",)},
        {"meta__tuned": ()},
    ],
    ids=str,
)
def test_numbers_at_the_edge_of_what_works_pass(changes):
    check(changed(Config(), **changes))


# YAML.


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
    *("log_seconds", "writers", "page_minutes"),
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
