from __future__ import annotations

from benchmarks.looks import look_round


def test_a_round_looks_at_each_deployment_and_reads_what_serve_tells() -> None:
    found = look_round(5, seconds=0.0)
    assert found.deployments == 5
    assert 1 <= found.readings <= 5
    assert found.answer > 5 * 4000
