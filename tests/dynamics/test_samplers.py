from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from worldrex.data import Spans
from worldrex.dynamics.samplers import Sampler, SamplerName, draw_rows, sampler_of

SIZES = (500, 20, 80, 200)
BEHAVIOR = np.repeat(np.arange(4), SIZES)
RNG = np.random.default_rng(0)
# Behaviors lie scattered in the log; fold 1 leaves behavior 2 out, and neither trains on the last 40 rows.
BEHAVIOR = RNG.permutation(BEHAVIOR).astype(np.int32)
ROWS = [np.arange(760), np.flatnonzero(BEHAVIOR[:760] != 2)]
WEIGHTS = (1.0, 3.0, 6.0, 0.0)
DRAWS = 100_000
KEY = jax.random.key(5)


def spans(rows: np.ndarray) -> Spans:
    """The rows one by one."""
    return Spans(rows, rows + 1, BEHAVIOR[rows])


def sampler(name: SamplerName) -> Sampler:
    return sampler_of([spans(rows) for rows in ROWS], 4, name, WEIGHTS if name == "weighted" else (), lambda rows: rows)


def drawer(name: SamplerName, bootstrap: bool = False, batch: int = 2000) -> Callable[..., np.ndarray]:
    own = jax.tree.map(jnp.asarray, sampler(name))

    @jax.jit
    def draw(key: jax.Array, fold: jax.Array) -> jax.Array:
        def of_step(step: jax.Array) -> jax.Array:
            return draw_rows(own, fold, step, batch, name, key=key, bootstrap=bootstrap)

        return jax.lax.map(of_step, jnp.arange(DRAWS // batch, dtype=jnp.int32))

    return lambda seed=0, fold=0: np.asarray(draw(jax.random.key(seed), jnp.int32(fold)))


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("name", ["natural", "balanced", "weighted"])
def test_behaviors_are_drawn_as_often_as_asked_and_their_records_alike(name: SamplerName, fold: int):
    counts = np.bincount(drawer(name)(fold=fold).ravel(), minlength=len(BEHAVIOR))
    allowed = np.zeros(len(BEHAVIOR), bool)
    allowed[ROWS[fold]] = True
    assert counts[~allowed].sum() == 0
    sizes = np.bincount(BEHAVIOR[ROWS[fold]], minlength=4)
    share = np.array({"natural": sizes, "balanced": sizes > 0, "weighted": WEIGHTS * (sizes > 0)}[name], float)
    share /= share.sum()
    expected = np.where(allowed, DRAWS * share[BEHAVIOR] / np.maximum(sizes, 1)[BEHAVIOR], 0)
    assert (np.abs(counts - expected) <= 6 * np.sqrt(expected)).all()
    by_behavior = np.bincount(BEHAVIOR, counts, 4)
    assert (np.abs(by_behavior - DRAWS * share) <= 5 * np.sqrt(DRAWS * share)).all()


@pytest.mark.parametrize("name", ["natural", "balanced"])
def test_records_depend_on_the_key_and_the_step_alone(name: SamplerName):
    draw = drawer(name)
    first = draw()
    np.testing.assert_array_equal(first, draw())
    assert (first[0] == first[1]).mean() < 0.02
    assert (first == draw(seed=1)).mean() < 0.02


def test_the_natural_draw_is_the_bits_of_the_step_in_the_order_of_the_log():
    """So that a run of today's settings draws what it drew before there were other samplers."""
    key = jax.random.fold_in(jax.random.key(0), 3)
    bits = np.asarray(jax.random.bits(key, (2000,), jnp.uint32))
    np.testing.assert_array_equal(drawer("natural")()[3], ROWS[0][bits % 760])


@pytest.mark.parametrize("name", ["natural", "balanced"])
def test_a_bootstrap_is_one_resampled_log_for_each_network(name: SamplerName):
    draw = drawer(name, bootstrap=True)
    members = [draw(seed) for seed in range(4)]
    np.testing.assert_array_equal(members[0], draw(0))
    seen = np.array([np.isin(np.arange(len(BEHAVIOR)), drawn) for drawn in members])
    # e^-1 of the records never occur, in whichever member: they are other records in each.
    np.testing.assert_allclose(1 - seen[:, :760].mean(1), np.exp(-1), atol=0.06)
    assert not seen[:, 760:].any()
    both = (seen[0] & seen[1])[:760].mean()
    np.testing.assert_allclose(both, (1 - np.exp(-1)) ** 2, atol=0.06)
    counts = np.bincount(members[0].ravel(), minlength=len(BEHAVIOR))
    if name == "natural":
        # How often a record occurs in the resampled log is Poisson: a whole number of times the share of one.
        times = counts[:760] / (DRAWS / 760)
        np.testing.assert_allclose(np.bincount(times.round().astype(int))[:3] / 760, [0.368, 0.368, 0.184], atol=0.06)
        assert np.abs(times - times.round()).max() < 0.49
        assert np.abs(times - times.round()).mean() < 0.12
    else:
        by_behavior = np.bincount(BEHAVIOR, counts, 4) / DRAWS
        np.testing.assert_allclose(by_behavior, 0.25, atol=0.01)


def test_ranges_are_drawn_as_their_rows_are():
    """Whole episodes, some of which touch, and two folds of different numbers of ranges."""
    begin = np.sort(RNG.choice(99, 30, replace=False)) * 10
    behavior = (np.arange(30) % 4).astype(np.int32)
    ranges = [Spans(begin, begin + 10, behavior), Spans(begin[:7], begin[:7] + 5, behavior[:7])]
    one_by_one = [Spans(rows.rows(), rows.rows() + 1, rows.behavior.repeat(rows.stop - rows.start)) for rows in ranges]
    for name in ("natural", "balanced"):
        drawn = []
        for folds in (ranges, one_by_one):
            own = jax.tree.map(jnp.asarray, sampler_of(folds, 4, name, (), lambda rows: rows + 3))
            draw = jax.jit(lambda fold, own=own, name=name: draw_rows(own, fold, jnp.int32(0), 500, name, key=KEY))
            drawn.append([np.asarray(draw(jnp.int32(fold))) for fold in range(2)])
        for fold in range(2):
            np.testing.assert_array_equal(drawn[0][fold], drawn[1][fold])
            assert set(drawn[0][fold]) <= set(ranges[fold].rows() + 3)
    assert sampler_of(ranges, 4, "natural", (), lambda rows: rows).row.shape[1] < 30


def test_the_natural_draw_without_a_bootstrap_misses_no_record():
    assert len(np.unique(drawer("natural")())) == 760


def test_rounding_never_draws_a_behavior_without_rows():
    """Shares that add up to a little less than 1 in float32, and the last behaviors are empty."""
    behavior = np.arange(7, dtype=np.int32).repeat(3)
    rows = np.arange(21)
    own = sampler_of([Spans(rows, rows + 1, behavior)], 9, "balanced", (), lambda rows: rows)
    own = jax.tree.map(jnp.asarray, own)
    short = own._replace(share=own.share * jnp.float32(0.9))
    draw = jax.jit(lambda key: draw_rows(short, jnp.int32(0), jnp.int32(0), 5000, "balanced", key=key))
    drawn = np.asarray(draw(jax.random.key(0)))
    assert drawn.max() < 21
    assert len(np.unique(drawn)) == 21
