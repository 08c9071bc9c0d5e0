"""Metrics beside scalars: histograms, films, successive meta-gradients."""

import io

import imageio.v3
import numpy as np
import pytest

from actors.spaces import Spec
from actors.transition import FIRST, LAST, MID, Step
from learner.diagnostics import diagnose
from learner.record.film import Film
from learner.record.histogram import of_whole


def a_step(gradient):
    return {"meta": {"loss": 2.0, "gradient": {"a": np.array(gradient)}}}


def test_successive_meta_gradients_are_compared():
    meta = diagnose(a_step([3.0, 4.0]), a_step([4.0, -3.0]))["meta"]
    assert meta["gradient_norms"] == {"a": 5.0}
    np.testing.assert_allclose(meta["gradient_cosine"], 0.0, atol=1e-7)
    meta = diagnose(a_step([3.0, 4.0]), a_step([0.0, 2.0]))["meta"]
    np.testing.assert_allclose(meta["gradient_cosine"], 0.8)


def test_the_first_meta_gradient_has_none_before():
    meta = diagnose(a_step([1.0]), {})["meta"]
    assert meta == {"loss": 2.0, "gradient_norms": {"a": 1.0}}


def test_impala_has_no_meta_gradient():
    assert diagnose({"inner": {"loss": 1.0}}, {"inner": {"loss": 2.0}}) == {
        "inner": {"loss": 1.0}
    }


def test_importance_ratios_become_a_histogram_of_those_that_count():
    rho = np.array([[0.0, 0.26, np.nan], [1.0, 0.24, np.nan]])
    counts, edges = diagnose({"inner": {"rho": rho[None]}}, {})["inner"]["rho"]
    expected = np.zeros(20)
    expected[[0, 4, 5, 19]] = 1  # 1 belongs to the last part
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(edges, np.linspace(0, 1, 21))


def test_whole_numbers_have_counts_of_their_own():
    counts, edges = of_whole(np.array([0, 2, 2, 3]))
    assert counts.tolist() == [1, 0, 2, 1]
    assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5]


def test_many_whole_numbers_share_64_counts():
    counts, edges = of_whole(np.arange(1_000))
    # 1000 / 64 = 15.6: sixteen to each, eight left for the last.
    assert counts.tolist() == [16] * 62 + [8]
    assert (edges[0], edges[-1]) == (-0.5, 1_007.5)


# Films.


def filmed(spec, frames):
    """A film of a game of these observations, each of two environments."""
    film = Film(spec)

    def watch(frame, kind):
        two = np.stack([frame, np.zeros_like(frame)])
        kinds = np.array([kind, MID])
        film.watch(Step(np.arange(2), two, kinds, None, None), None)

    for n, frame in enumerate(frames):
        watch(frame, LAST if n == len(frames) - 1 else MID if n else FIRST)
    watch(frames[0], FIRST)  # of another game, while the second copy plays on
    return film.gif()


def read(gif):
    return imageio.v3.imread(io.BytesIO(gif), extension=".gif")


def test_a_film_is_every_third_step_of_the_newest_frame():
    spec = Spec(3, (4, 84, 84), np.uint8, stack=4, frames_per_step=4)
    frames = [np.full((4, 84, 84), 10, np.uint8) for _ in range(10)]
    for n, frame in enumerate(frames):
        frame[3] = 20 * n
    film = read(filmed(spec, frames))
    assert film.shape[1:3] == (84, 84)
    assert film[:, 0, 0, 0].tolist() == [0, 60, 120, 180]


def test_a_film_has_colours_where_the_game_has_them():
    spec = Spec(3, (6, 210, 160), np.uint8, stack=2, frames_per_step=4)
    frame = np.zeros((6, 210, 160), np.uint8)
    frame[3:] = np.array([200, 100, 0])[:, None, None]
    film = read(filmed(spec, [frame, frame]))
    assert film.reshape(-1, 210, 160, 3)[0, 0, 0].tolist() == [200, 100, 0]


def test_a_small_board_is_made_large_and_every_step_kept():
    spec = Spec(3, (10, 5), np.float32, stack=1, frames_per_step=1)
    frames = np.zeros((4, 10, 5), np.float32)
    frames[np.arange(4), np.arange(4), 2] = 1.0
    film = read(filmed(spec, list(frames)))
    assert film.shape[:3] == (4, 90, 45)
    assert [int(picture[:, 22, 0].argmax()) for picture in film] == [
        0,
        9,
        18,
        27,
    ]


def test_a_film_ends_after_half_a_minute():
    spec = Spec(3, (10, 5), np.float32, stack=1, frames_per_step=1)
    rng = np.random.default_rng(0)
    film = read(filmed(spec, list(rng.random((200, 10, 5), np.float32))))
    assert len(film) == 150  # of a fifth of a second


@pytest.mark.parametrize("shape", [(4,), ()])
def test_what_is_no_picture_has_no_film(shape):
    spec = Spec(2, shape, np.float32, stack=1, frames_per_step=1)
    assert filmed(spec, [np.zeros(shape, np.float32)] * 3) == b""
