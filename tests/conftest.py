"""Every test runs with JAX strict about rank and dtype promotion; pyproject.toml turns warnings into errors."""

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
