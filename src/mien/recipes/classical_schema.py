"""What a recipe of ``kind: classical`` may say: features, reduction, classifier, and which values to search over.

Owns the words and the search space. Refuses to import scikit-learn, scikit-image and torch, so that a recipe can be
checked anywhere; :mod:`mien.recipes.loader` reads and writes the files.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mien.recipes.schema import AboveZero, Data, Head, NotNegative, Positive


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pixels(_Part):
    """The pixels themselves, in 0-1."""

    kind: Literal["pixels"]


class Hog(_Part):
    """Histograms of oriented gradients (Dalal & Triggs 2005), by scikit-image."""

    kind: Literal["hog"]
    orientations: Positive = 9
    """Bins of the half circle."""
    cell: Positive = 8
    """Pixels a side of the cells that a histogram is made of."""
    block: Positive = 2
    """Cells a side of the blocks that histograms are normalised over; blocks overlap."""
    norm: Literal["L1", "L1-sqrt", "L2", "L2-Hys"] = "L2-Hys"
    square_root: bool = False
    """Take the square root of the pixels first, which compresses shadows."""


class Lbp(_Part):
    """Histograms of uniform local binary patterns on a grid (Ojala et al. 2002; Shan et al. 2009), by scikit-image."""

    kind: Literal["lbp"]
    points: Annotated[int, Field(ge=4, le=16)] = 8
    """Neighbours on the circle that each pixel is compared with."""
    radius: AboveZero = 1.0
    """Of that circle, in pixels."""
    grid: Positive = 6
    """Cells a side; each gives one histogram, which sums to 1."""
    rotation_invariant: bool = False
    """Count patterns that are rotations of each other as one: ``points`` + 2 bins instead of 59 for 8 points."""


class NetworkFeatures(_Part):
    """What a trained network has in front of its classifier; see :mod:`mien.classical.network_features`."""

    kind: Literal["network"]
    run: str | None = None
    """A run folder of mien: its best weights."""
    model: str | None = None
    """A model of mien, by name or path."""
    timm: str | None = None
    """A backbone as timm spells it."""
    torchvision: str | None = None
    """A backbone as torchvision spells it, as in ``alexnet``."""
    weights: str | None = None
    """A local ``.safetensors`` or ``.pth`` in the library's naming, for a backbone by name; None: what the library
    downloads for that name."""
    size: Positive = 48
    """Pixels a side that pictures are resized to for a backbone by name; a run and a model know their own."""

    @model_validator(mode="after")
    def _consistent(self) -> NetworkFeatures:
        given = [name for name in ("run", "model", "timm", "torchvision") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"say exactly one of run, model, timm, torchvision, not {' and '.join(given) or 'none'}")
        if self.weights is not None and given[0] in {"run", "model"}:
            raise ValueError(f"weights is for a backbone by name: a {given[0]} has its own")
        return self


class LandmarkFeatures(_Part):
    """Where the points of a face mesh lie; see :mod:`mien.classical.landmark_features`."""

    kind: Literal["landmarks"]
    encoding: Literal["angles", "distances", "both"] = "angles"
    size: Positive = 48
    """Pixels a side that the face is enlarged to before points are looked for."""


FeaturesSpec = Annotated[Pixels | Hog | Lbp | NetworkFeatures | LandmarkFeatures, Field(discriminator="kind")]


class Pca(_Part):
    """Principal components of the training faces; of pixels these are eigenfaces (Turk & Pentland 1991)."""

    kind: Literal["pca"] = "pca"
    components: AboveZero = 0.95
    """How many, or below 1 as many as explain this share of the variance."""
    whiten: bool = False
    """Scale each component to variance 1."""

    @model_validator(mode="after")
    def _consistent(self) -> Pca:
        if self.components >= 1 and self.components % 1:
            raise ValueError(f"components ({self.components:g}) must be a whole number or a share below 1")
        return self


class Svm(_Part):
    """Support vector machine: one against the rest where ``linear``, one against one where ``rbf``."""

    kind: Literal["svm"]
    kernel: Literal["linear", "rbf"] = "linear"
    C: AboveZero | None = None
    """How much a training face on the wrong side costs; None: 0.001 where ``linear``, 1 where ``rbf``."""
    gamma: AboveZero | None = None
    """Of the kernel ``rbf``; None: 1 / (features x their variance)."""
    class_weights: Literal["none", "balanced"] = "none"


class Knn(_Part):
    """The labels of the nearest training faces."""

    kind: Literal["knn"]
    neighbors: Positive = 15
    weights: Literal["uniform", "distance"] = "distance"
    metric: Literal["euclidean", "manhattan", "cosine"] = "euclidean"


class NaiveBayes(_Part):
    """Gaussian naive Bayes."""

    kind: Literal["naive-bayes"]
    smoothing: NotNegative = 1e-9
    """Share of the largest variance that is added to all."""


class Logistic(_Part):
    """Multinomial logistic regression."""

    kind: Literal["logistic"]
    C: AboveZero = 0.01
    """Inverse of the strength of the L2 penalty."""
    iterations: Positive = 300
    """At most this many of L-BFGS."""
    class_weights: Literal["none", "balanced"] = "none"


class Forest(_Part):
    """Random forest (Breiman 2001)."""

    kind: Literal["forest"]
    trees: Positive = 200
    depth: Positive | None = None
    """Of each tree at most; None: until its leaves are pure."""
    leaf: Positive = 3
    """Training faces that a leaf must have; of 28,700 faces a tree has some 7,700 nodes with 3, 2,700 with 10."""
    class_weights: Literal["none", "balanced"] = "none"


class Mlp(_Part):
    """Dense layers with ReLU, trained with Adam until a tenth of the training faces, held out, gets no better."""

    kind: Literal["mlp"]
    hidden_units: Annotated[tuple[Positive, ...], Field(min_length=1)] = (256,)
    learning_rate: AboveZero = 0.001
    weight_decay: NotNegative = 1e-4
    batch_size: Positive = 128
    epochs: Positive = 100
    patience: Positive = 5
    """Epochs without getting better after which it ends."""


_FEATURES: Mapping[str, type[_Part]] = {
    "pixels": Pixels,
    "hog": Hog,
    "lbp": Lbp,
    "network": NetworkFeatures,
    "landmarks": LandmarkFeatures,
}
_CLASSIFIERS: Mapping[str, type[_Part]] = {
    "svm": Svm,
    "knn": Knn,
    "naive-bayes": NaiveBayes,
    "logistic": Logistic,
    "forest": Forest,
    "mlp": Mlp,
}
#: The part of the schema behind each ``kind`` of features and classifiers.
KINDS: Mapping[str, type[BaseModel]] = {**_FEATURES, **_CLASSIFIERS}
_SEARCHED = ("features", "standardise", "reduce", "classifier")
Classifier = Annotated[Svm | Knn | NaiveBayes | Logistic | Forest | Mlp, Field(discriminator="kind")]


class ClassicalRecipe(_Part):
    """A whole classical experiment; see the shipped ``hog.yaml``, ``lbp.yaml`` and ``pca.yaml``."""

    kind: Literal["classical"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    description: str
    seed: Annotated[int, Field(ge=0)] = 0
    data: Data = Data()
    label_set: str = "fer2013"
    """``fer2013``, ``ferplus`` or another of the table's; ``own``: the one that its labels are in."""
    features: FeaturesSpec
    standardise: bool = True
    """Bring each feature to mean 0 and variance 1 over the training faces."""
    reduce: Pca | None = None
    """After standardising; None keeps all features."""
    classifier: Classifier
    search: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = {}
    """Paths of this recipe to values: all combinations are fitted, validation top-1 chooses. The path
    ``classifier.svm.C`` is searched where the classifier is an svm, so that one recipe has a search for each."""
    measured: str = ""
    """The figure last measured for this recipe, with split, n and hardware."""

    @model_validator(mode="after")
    def _consistent(self) -> ClassicalRecipe:
        if self.data.color != "grey":
            raise ValueError("data.color must be grey: features are of grey pictures")
        plain = Data()
        if (self.data.mean, self.data.std) != (plain.mean, plain.std):
            raise ValueError("data.mean and data.std are for networks: here standardise does that")
        for path, values in self.search.items():
            for value in values:
                self._try(path, value)
        return self

    def _try(self, path: str, value: Any) -> ClassicalRecipe | None:
        """This recipe with one value of the search in it; None where the path is about a classifier of another kind.

        Raises:
            ValueError: the path leads nowhere, or the value does not belong there.
        """
        name, *keys = path.split(".")
        if path == "standardise" and isinstance(value, bool):
            return self.model_copy(update={path: value})
        part, other = getattr(self, name, None), None
        if name == "classifier" and len(keys) == 2 and keys[0] in _CLASSIFIERS:
            kind = keys.pop(0)
            other = _CLASSIFIERS[kind].model_construct(kind=kind) if kind != self.classifier.kind else None
        part = other or part
        if name not in _SEARCHED or not isinstance(part, _Part):
            part = _Part()
        fields = [key for key in type(part).model_fields if key != "kind"]
        if len(keys) != 1 or keys[0] not in fields:
            hint = f"; valid: {', '.join(fields)}" if fields else f"; try values of {', '.join(_SEARCHED)}"
            raise ValueError(f"search: {path!r} leads to no value{hint}")
        try:
            changed = type(part).model_validate(part.model_dump() | {keys[0]: value})
        except ValidationError as error:
            raise ValueError(f"search: {path}: {value!r}: {error.errors()[0]['msg']}") from error
        return None if other else self.model_copy(update={name: changed})

    def candidates(self) -> Iterator[tuple[dict[str, Any], ClassicalRecipe]]:
        """Every combination of the values searched over, and the recipe that it makes; one empty one without any.

        The last path varies fastest.
        """
        choices = {path: values for path, values in self.search.items() if self._try(path, values[0])}
        for values in itertools.product(*choices.values()):
            chosen, made = dict(zip(choices, values, strict=True)), self.model_copy(update={"search": {}})
            for path, value in chosen.items():
                made = made._try(path, value) or made
            yield chosen, made

    @property
    def heads(self) -> tuple[Head, ...]:
        """Its label set as networks name theirs; a face counts as its most likely label."""
        return (Head(label_set=self.label_set, targets="majority"),)

    def for_labels(self, own: str) -> ClassicalRecipe:
        """The recipe with ``own`` label set named."""
        return self.model_copy(update={"label_set": own}) if self.label_set == "own" else self

    def is_experiment_of(self, other: object) -> bool:
        """Whether both recipes fit alike; what they say of themselves may differ."""
        words = {"description": "", "measured": ""}
        return isinstance(other, ClassicalRecipe) and self.model_copy(update=words) == other.model_copy(update=words)
