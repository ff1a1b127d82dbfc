import pytest

from infra.bench.report import Figure


def _figure(*rounds: float) -> Figure:
    return Figure("some_ratio", "ratio", rounds, must=1.0, spread_max=0.15)


def test_one_hiccup_in_five_rounds_is_no_spread() -> None:
    assert not _figure(2.0, 2.1, 2.05, 2.0, 0.5).is_rejected


def test_rounds_that_lie_apart_are_rejected_even_where_the_median_reaches_its_must() -> None:
    figure = _figure(2.0, 3.0, 1.5, 2.5, 1.0)
    assert figure.reaches_must
    assert figure.is_rejected
    assert figure.spread == pytest.approx(0.5)


def test_fewer_rounds_than_five_are_all_counted() -> None:
    assert _figure(2.0, 2.0, 0.5).is_rejected


def test_a_figure_without_a_limit_is_never_rejected() -> None:
    assert not Figure("p99", "ms", [1.0, 100.0], must=50, is_at_least=False).is_rejected
