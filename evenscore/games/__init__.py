"""Classes as players of a game: exact over frozen features, and the coupling of deep networks."""

from evenscore.games.coupling import by_count, noisy_similarity_law, similarity_law, train_law, uniform_law
from evenscore.games.descent import Descent, Played, descend
from evenscore.games.equilibrium import Equilibrium, equilibrium, radius
from evenscore.games.moments import Grid, LossWeights, Moments, gather
from evenscore.games.population import Population, population
from evenscore.games.quadratic import QuadraticGame
from evenscore.games.rules import Anchored, ClassGaussians, Mutual, PartialPooling, Problem, Ridge, Rule
from evenscore.games.theory import Corollary, corollary, paper_smoothness

__all__ = [
    "Anchored",
    "ClassGaussians",
    "Corollary",
    "Descent",
    "Equilibrium",
    "Grid",
    "LossWeights",
    "Moments",
    "Mutual",
    "PartialPooling",
    "Played",
    "Population",
    "Problem",
    "QuadraticGame",
    "Ridge",
    "Rule",
    "by_count",
    "corollary",
    "descend",
    "equilibrium",
    "gather",
    "noisy_similarity_law",
    "paper_smoothness",
    "population",
    "radius",
    "similarity_law",
    "train_law",
    "uniform_law",
]
