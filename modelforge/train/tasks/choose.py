"""task_of: the data → what a model is trained for."""

from __future__ import annotations

from modelforge.train.data.source import Source
from modelforge.train.tasks.classification import Classification
from modelforge.train.tasks.language_modelling import LanguageModelling
from modelforge.train.tasks.regression import Autoencoding, Regression
from modelforge.train.tasks.task import Task


def task_of(source: Source) -> Task:
    """The loss and the metric that belong to the `task` of a source."""
    match source.task:
        case "classification":
            return Classification(source.num_outputs, source.ignored_class)
        case "regression":
            return Regression()
        case "language_modelling":
            return LanguageModelling()
        case "autoencoding":
            return Autoencoding()
