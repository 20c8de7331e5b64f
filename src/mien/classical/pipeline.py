"""What scikit-learn fits: standardising, principal components and a classifier, and what the three say of a face.

Owns which estimator each word of a recipe means, logits for every classifier, and the file that a fitted pipeline is
kept in: skops' format, which holds arrays and names of known types and runs no code when it is read, as a pickle would.
Pictures without features (rows of nan) are answered with the share of each label among the training faces.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError, TrainingError, require
from mien.recipes.classical_schema import ClassicalRecipe, Forest, Knn, Logistic, Mlp, NaiveBayes, Pca, Svm

#: What skops does not know to be harmless though it is: no part of scikit-learn that a recipe names needs more.
_TRUSTED = ("sklearn.tree._tree.Tree", "sklearn.neural_network._stochastic_optimizers.AdamOptimizer")
#: Rows that answers are computed for at a time.
_CHUNK = 1024
_HELD_OUT = 0.1  # of the training faces, that tell an MLP when to end
_MEGABYTES = 500  # of memory for the kernel of an rbf SVM


@dataclass(frozen=True)
class Pipeline:
    """A fitted pipeline.

    Attributes:
        steps: scikit-learn's, from ``standardise`` and ``reduce``, where the recipe has them, to ``classify``.
        prior: float64 (K,), the share of each label among the training faces, summing to 1.
        converged: whether the fit ended by itself and not at the most iterations; its file does not say.
    """

    steps: Any
    prior: NDArray[np.float64]
    converged: bool = True

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """What it says of features float32 (N, D): (N, K) logits or log-probabilities; the prior's for rows of nan."""
        found = answerable(features)
        logits = np.tile(np.log(np.maximum(self.prior, 1e-12)), (len(features), 1))
        rows = np.flatnonzero(found)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            logits[part] = self._logits(features[part])
        return logits

    def _logits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        classifier, before = self.steps[-1], self.steps[:-1]
        seen = before.transform(features) if len(before) else features
        name = type(classifier).__name__
        if name == "MLPClassifier":
            return mlp_logits(classifier, seen)
        if name == "GaussianNB":
            return classifier.predict_joint_log_proba(seen)
        if name == "KNeighborsClassifier":
            return self._counted(classifier.predict_proba(seen), classifier.n_neighbors)
        if name == "RandomForestClassifier":
            return self._counted(classifier.predict_proba(seen), classifier.n_estimators)
        return both(classifier.decision_function(seen))

    def _counted(self, shares: NDArray[np.float64], votes: int) -> NDArray[np.float64]:
        """Logs of shares of votes, with one more vote that is split as the prior: no label is impossible."""
        return np.log((shares * votes + self.prior) / (votes + 1) + 1e-12)


def answerable(features: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows of features (N, D) are not nan; (N,)."""
    return np.asarray(~np.isnan(features).any(axis=1))


def both(decision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits (N, K); of two labels scikit-learn gives only the second one's, (N,)."""
    return decision if decision.ndim == 2 else np.stack([np.zeros_like(decision), decision], axis=1)


def mlp_logits(classifier: Any, seen: NDArray[np.floating]) -> NDArray[np.float64]:
    """What an MLPClassifier says before its softmax; (N, K)."""
    values = seen.astype(np.float64)
    layers = list(zip(classifier.coefs_, classifier.intercepts_, strict=True))
    for weights, bias in layers[:-1]:
        values = np.maximum(values @ weights + bias, 0)
    weights, bias = layers[-1]
    values = values @ weights + bias
    return both(values[:, 0] if values.shape[1] == 1 else values)


def fit(
    recipe: ClassicalRecipe, features: NDArray[np.float32], truth: NDArray[np.int64], labels: int, threads: int = 1
) -> Pipeline:
    """Fit a recipe's pipeline; its ``search`` is not looked at.

    Args:
        recipe: standardise, reduce, classifier and seed.
        features: float32 (N, D); rows of nan are left out.
        truth: (N,) label indices; -1 is left out.
        labels: K.
        threads: of forests and nearest neighbours.

    Raises:
        TrainingError: a label has no face with features, or there are fewer faces or features than asked for.
    """
    pipelines, exceptions = require("sklearn.pipeline", "tables"), require("sklearn.exceptions", "tables")
    known = truth >= 0
    prior = np.bincount(truth[known], minlength=labels) / max(int(known.sum()), 1)
    known &= answerable(features)
    features, truth = features[known], truth[known]
    absent = sorted(set(range(labels)) - set(truth.tolist()))
    if absent:
        raise TrainingError(
            f"label {', '.join(map(str, absent))} of {labels} has no training face with features: it cannot be learned"
        )
    steps = pipelines.Pipeline(_steps(recipe, threads, len(truth)))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", exceptions.ConvergenceWarning)
            steps.fit(features, truth)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"scikit-learn cannot fit {recipe.classifier.kind} to these features: {reason}") from error
    ended = [found for found in caught if issubclass(found.category, exceptions.ConvergenceWarning)]
    for other in caught:
        if other not in ended:
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    return Pipeline(steps, prior, converged=not ended)


def _steps(recipe: ClassicalRecipe, threads: int, faces: int) -> list[tuple[str, Any]]:
    steps: list[tuple[str, Any]] = []
    if recipe.standardise:
        steps.append(("standardise", require("sklearn.preprocessing", "tables").StandardScaler()))
    if recipe.reduce:
        steps.append(("reduce", _pca(recipe.reduce, recipe.seed)))
    return [*steps, ("classify", _classifier(recipe, threads, faces))]


def _pca(spec: Pca, seed: int) -> Any:
    decomposition = require("sklearn.decomposition", "tables")
    if spec.components < 1:  # needs the whole spectrum, which the covariance gives fastest of many faces
        return decomposition.PCA(spec.components, whiten=spec.whiten, svd_solver="covariance_eigh")
    return decomposition.PCA(int(spec.components), whiten=spec.whiten, svd_solver="randomized", random_state=seed)


def _classifier(recipe: ClassicalRecipe, threads: int, faces: int) -> Any:
    spec, seed = recipe.classifier, recipe.seed
    match spec:
        case Svm():
            return _svm(spec, seed)
        case Knn():
            neighbors = require("sklearn.neighbors", "tables")
            return neighbors.KNeighborsClassifier(
                spec.neighbors, weights=spec.weights, metric=spec.metric, algorithm="brute", n_jobs=threads
            )
        case NaiveBayes():
            return require("sklearn.naive_bayes", "tables").GaussianNB(var_smoothing=spec.smoothing)
        case Logistic():
            linear = require("sklearn.linear_model", "tables")
            return linear.LogisticRegression(
                C=spec.C, max_iter=spec.iterations, class_weight=_weights(spec.class_weights), random_state=seed
            )
        case Forest():
            return require("sklearn.ensemble", "tables").RandomForestClassifier(
                spec.trees,
                max_depth=spec.depth,
                min_samples_leaf=spec.leaf,
                class_weight=_weights(spec.class_weights),
                n_jobs=threads,
                random_state=seed,
            )
        case Mlp():
            return _mlp(spec, seed, faces)
        case _:
            assert_never(spec)


def _svm(spec: Svm, seed: int) -> Any:
    svm = require("sklearn.svm", "tables")
    weights = _weights(spec.class_weights)
    if spec.kernel == "linear":
        # The dual is three times as fast as the primal on 900 features of 28,700 faces at the C that validation likes.
        return svm.LinearSVC(C=spec.C or 0.001, class_weight=weights, dual=True, max_iter=2000, random_state=seed)
    gamma = "scale" if spec.gamma is None else spec.gamma
    return svm.SVC(C=spec.C or 1.0, gamma=gamma, class_weight=weights, cache_size=_MEGABYTES, random_state=seed)


def _mlp(spec: Mlp, seed: int, faces: int) -> Any:
    learned = faces - math.ceil(faces * _HELD_OUT)
    return require("sklearn.neural_network", "tables").MLPClassifier(
        spec.hidden_units,
        alpha=spec.weight_decay,
        batch_size=min(spec.batch_size, learned),
        learning_rate_init=spec.learning_rate,
        max_iter=spec.epochs,
        early_stopping=True,
        validation_fraction=_HELD_OUT,
        n_iter_no_change=spec.patience,
        random_state=seed,
    )


def _weights(words: str) -> str | None:
    return None if words == "none" else words


def dumps(pipeline: Pipeline) -> bytes:
    """The content of a pipeline's file.

    Raises:
        MissingExtraError: skops is not installed.
    """
    content = {"steps": pipeline.steps, "prior": pipeline.prior}
    return require("skops.io", "classical").dumps(content, compression=zipfile.ZIP_DEFLATED)


def loads(content: bytes, where: str) -> Pipeline:
    """A pipeline from the content of its file; what is not known to be harmless is refused, not run.

    Args:
        content: of the file.
        where: its name, for messages.

    Raises:
        ModelError: it is damaged, or holds types that no pipeline of mien has.
        MissingExtraError: skops is not installed.
    """
    skops = require("skops.io", "classical")
    try:
        found = skops.loads(content, trusted=list(_TRUSTED))
        return Pipeline(found["steps"], found["prior"])
    except Exception as error:  # skops raises what zip, JSON and NumPy raise, and types of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{where} is no pipeline of this mien ({reason}): fit it again, mien train") from error
