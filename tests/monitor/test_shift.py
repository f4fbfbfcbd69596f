import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from posology.monitor import shift
from posology.monitor.shift import KernelFeatures, Projection, domain_auc


def test_every_row_is_judged_by_a_classifier_that_has_not_seen_it():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((40, 3)).astype(np.float32)
    inside = np.arange(40) < 12
    design = np.column_stack([np.ones(40), rows])
    penalty = np.diag([0.0, *[shift.RIDGE * 40] * 3])
    scores = []
    for left_out in range(40):
        kept = np.arange(40) != left_out
        others = design[kept]
        weights = np.linalg.solve(others.T @ others + penalty, others.T @ inside[kept])
        scores.append(design[left_out] @ weights)
    assert domain_auc(rows, inside[:, None])[0] == pytest.approx(roc_auc_score(inside, scores), abs=1e-6)


def test_another_domain_is_told_apart_and_the_same_one_is_not():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, 5)).astype(np.float32)
    inside = np.zeros((300, 2), dtype=bool)
    inside[:60] = True
    rows[:60, 0] += 3
    inside[:, 1] = rng.permutation(inside[:, 0])
    told, not_told = domain_auc(rows, inside)
    assert told > 0.95 and 0.3 < not_told < 0.65


def test_projections_have_unit_variance_and_leave_out_what_does_not_vary():
    rng = np.random.default_rng(0)
    vectors = np.column_stack([rng.standard_normal((500, 3)) * [5, 1, 0.2], np.ones(500)]).astype(np.float32)
    rows = Projection.of(vectors).of_rows(vectors)
    assert rows.shape == (500, 3)
    assert rows.std(axis=0) == pytest.approx(np.ones(3), abs=1e-3)


def test_features_stand_for_the_gaussian_kernel():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((200, 6)), rng.standard_normal((200, 6)) + 0.5
    features = KernelFeatures.of(first.astype(np.float32), seed=0)
    gap = features.of_rows(first).mean(axis=0) - features.of_rows(second).mean(axis=0)
    distances = np.sqrt(np.square(first[:, None] - first).sum(axis=2))
    width = np.median(distances[np.triu_indices(200, 1)])

    def kernel(a, b):
        return np.exp(-np.square(a[:, None] - b).sum(axis=2) / (2 * width**2)).mean()

    exact = kernel(first, first) + kernel(second, second) - 2 * kernel(first, second)
    assert gap @ gap == pytest.approx(exact, rel=0.25)


def test_one_row_and_equal_rows_do_no_harm():
    same = np.ones((5, 4), dtype=np.float32)
    assert Projection.of(same).of_rows(same).shape == (5, 0)
    assert np.isfinite(KernelFeatures.of(same, 0).of_rows(same)).all()
    assert np.isfinite(KernelFeatures.of(same[:1], 0).of_rows(same)).all()
