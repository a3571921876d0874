from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import COMPANY, SMALL, Company, arrays, same_bits
from tests.dynamics.gust import gust_log
from worldrex.data import Transitions
from worldrex.dynamics import Run, TrainingError
from worldrex.dynamics.chunks import TOLD, Chunk, cut, fingerprint, join, keep, kept, pack, reports_of, unpack
from worldrex.evaluation import CrossvalConfig


def part(company: Company, these: Sequence[int]) -> Chunk:
    """Some runs of the sweep, as a worker would have trained them."""
    own = np.array(these)
    bare = company.sweep._replace(compile_seconds=0.0, behavior_names=())
    sweep = jax.tree.map(lambda x: x[own] if np.ndim(x) else x, bare)
    reports = [
        progress._replace(**{name: getattr(progress, name)[own] for name in TOLD}) for progress in company.reports
    ]
    named = sweep._replace(compile_seconds=1.5, behavior_names=company.sweep.behavior_names)
    return Chunk(tuple(COMPANY[number] for number in these), named, reports)


def two(company: Company) -> list[Chunk]:
    """The whole sweep, its runs in another order and one of them twice."""
    return [part(company, [4, 1, 0]), part(company, [3, 1, 2])]


def test_chunks_are_cut_in_order_each_run_once():
    a, b, c = (Run(seed=seed) for seed in range(3))
    assert cut([a, b, a, c], 2) == [(a, b), (c,)]
    with pytest.raises(TrainingError, match="runs_per_chunk is 0; a chunk needs 1 or more"):
        cut([a], 0)


def test_chunks_joined_are_the_sweep(company: Company):
    joined = join(two(company), COMPANY)
    assert same_bits(arrays(joined), arrays(company.sweep))
    assert joined.behavior_names == company.sweep.behavior_names
    assert joined.compile_seconds == 3.0
    assert same_bits(list(reports_of(two(company), COMPANY)), company.reports)


def test_a_chunk_that_ended_early_tells_its_last_again(company: Company):
    early, late = two(company)
    early = early._replace(reports=early.reports[:1])
    *_, last = reports_of([early, late], COMPANY)
    assert last.step == company.reports[-1].step
    np.testing.assert_array_equal(last.train_risk[[0, 4]], company.reports[0].train_risk[[0, 4]])
    np.testing.assert_array_equal(last.train_risk[[2, 3]], company.reports[-1].train_risk[[2, 3]])


def test_kept_chunks_come_back_to_the_bit(company: Company, tmp_path: Path):
    for chunk in two(company):
        back = unpack(*pack(chunk, "a"))
        assert back.runs == chunk.runs
        assert same_bits([arrays(back.sweep), back.reports], [arrays(chunk.sweep), chunk.reports])
        keep(tmp_path, pack(chunk, "a"))
    said: list[str] = []
    found = kept(tmp_path, "a", say=said.append)
    assert {chunk.runs for chunk in found} == {chunk.runs for chunk in two(company)}
    assert same_bits(arrays(join(found, COMPANY)), arrays(company.sweep))
    assert not said


def test_chunks_of_another_sweep_and_damaged_ones_are_not_taken(company: Company, tmp_path: Path):
    one, other = two(company)
    keep(tmp_path, pack(one, "a"))
    keep(tmp_path, pack(one, "b"))
    keep(tmp_path, pack(other, "a"))
    (half,) = (place for place in tmp_path.iterdir() if b'"seed": 1' not in (place / "chunk.json").read_bytes())
    (half / "chunk.safetensors").write_bytes((half / "chunk.safetensors").read_bytes()[:-1] + b"x")
    said: list[str] = []
    assert [chunk.runs for chunk in kept(tmp_path, "a", say=said.append)] == [one.runs]
    assert f"{half} is damaged, so its runs are trained again" in said
    assert f"1 of the chunks in {tmp_path} are of other records, settings or versions, and are left alone" in said
    (half / "chunk.json").unlink()
    said.clear()
    kept(tmp_path, "a", say=said.append)
    assert len(said) == 1


def test_the_fingerprint_tells_all_that_a_run_depends_on(log: Transitions, monkeypatch: pytest.MonkeyPatch):
    same = fingerprint(log, SMALL)
    assert fingerprint(gust_log(), SMALL) == same
    assert fingerprint(gust_log(seed=1), SMALL) != same
    assert fingerprint(replace(log, behavior_names=("a", "b", "c", "d")), SMALL) != same
    assert fingerprint(log, replace(SMALL, batch=33)) != same
    assert fingerprint(log, replace(SMALL, features=replace(SMALL.features, history=2))) != same
    # Which weights are compared is no matter of a single run.
    assert fingerprint(log, CrossvalConfig(weights=(1.0,))) == fingerprint(log, CrossvalConfig(weights=(2.0,)))
    monkeypatch.setattr("worldrex.dynamics.chunks.metadata.version", lambda name: f"{name} 9")
    assert fingerprint(log, SMALL) != same
