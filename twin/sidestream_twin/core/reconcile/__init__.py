"""Reconciliation: what the meters of a plant say together, which of them can't be right, and what nobody can know.

```python
system = network([Stream("in", None, "tank", Uncertain(10.2, 0.1, 0.2)), Stream("out", "tank", None)])
structure = analyse(system)  # once for a set of meters
estimate = reconcile(system, structure)  # once for each interval
tests = screen(estimate, level=0.05)
```

| module | idea |
|---|---|
| `system`, `network` | variables and exact linear constraints; a graph of streams, stocks and yields as such |
| `basis`, `structure` | what follows from what; redundant, non-redundant, observable, unobservable |
| `operators` | what an error of each variable does to the others, whole or sparse |
| `estimate` | weighted least squares with covariance |
| `bounds` | values kept within bounds |
| `unmet` | bounds that what can't be known contradicts |
| `screening` | global test, measurement tests, what they could see |
| `suspects` | who is wrong: serial elimination, equivalent meters, leaks |
| `diagnosis` | all of it for one interval |
| `watch` | who is accused, once it has lasted |
"""

from sidestream_twin.core.reconcile.bounds import Bounded, within_bounds
from sidestream_twin.core.reconcile.diagnosis import Diagnosis, diagnose
from sidestream_twin.core.reconcile.estimate import Estimate, reconcile
from sidestream_twin.core.reconcile.network import Stream, Yield, network
from sidestream_twin.core.reconcile.screening import GlobalTest, Screening, global_test, screen
from sidestream_twin.core.reconcile.structure import Knowledge, Structure, analyse
from sidestream_twin.core.reconcile.suspects import (
    Leak,
    Suspect,
    equivalent_meters,
    leaks,
    suspected_meters,
    suspects,
    without_meters,
)
from sidestream_twin.core.reconcile.system import Constraint, LinearSystem, Variable, linear_system
from sidestream_twin.core.reconcile.unmet import unmet_bounds
from sidestream_twin.core.reconcile.watch import Accusation, Question, Rules, accuse, checkable

__all__ = [
    "Accusation",
    "Bounded",
    "Constraint",
    "Diagnosis",
    "Estimate",
    "GlobalTest",
    "Knowledge",
    "Leak",
    "LinearSystem",
    "Question",
    "Rules",
    "Screening",
    "Stream",
    "Structure",
    "Suspect",
    "Variable",
    "Yield",
    "accuse",
    "analyse",
    "checkable",
    "diagnose",
    "equivalent_meters",
    "global_test",
    "leaks",
    "linear_system",
    "network",
    "reconcile",
    "screen",
    "suspected_meters",
    "suspects",
    "unmet_bounds",
    "within_bounds",
    "without_meters",
]
