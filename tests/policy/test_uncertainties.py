import jax.numpy as jnp
import numpy as np
import pytest

from worldrex.policy.uncertainties import MEASURES

MEANS = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
STDS = np.random.default_rng(1).uniform(0.1, 2, (3, 5, 2)).astype(np.float32)


def expected(name: str, record: int) -> float:
    means, stds = MEANS[:, record], STDS[:, record]
    if name == "aleatoric":
        return max(np.sqrt((std**2).sum()) for std in stds)
    if name == "pairwise":
        return max(np.sqrt(((one - other) ** 2).sum()) for one in means for other in means)
    return np.sqrt(((means - means.mean(0)) ** 2).mean(0).sum())


@pytest.mark.parametrize("name", MEASURES)
def test_each_measure_is_its_formula(name: str):
    found = MEASURES[name](jnp.asarray(MEANS), jnp.asarray(STDS))
    np.testing.assert_allclose(found, [expected(name, record) for record in range(5)], rtol=1e-5)


def test_elites_that_agree_leave_only_their_noise():
    same = jnp.broadcast_to(jnp.asarray(MEANS[:1]), MEANS.shape)
    assert MEASURES["pairwise"](same, jnp.asarray(STDS)).max() == 0
    assert MEASURES["disagreement"](same, jnp.asarray(STDS)).max() < 1e-5
    assert MEASURES["aleatoric"](same, jnp.asarray(STDS)).min() > 0
