"""What several commands share: loading the configuration, opening the database, progress bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.check import check
from monitor.cli import UserError
from monitor.config_model import Config
from monitor.store.database import Database, open_database
from monitor.store.errors import StoreError
from thresholds.plan import Policy
from thresholds.settings import Fault


def load(path: Path) -> tuple[Config, Policy]:
    """The configuration with its policy. Raises UserError with all faults."""
    report = check(path, str(path))
    if report.config is None or report.policy is None or report.faults:
        raise UserError(shown(report.faults))
    return report.config, report.policy


def shown(faults: tuple[Fault, ...] | list[Fault]) -> str:
    return f"{len(faults)} faults\n" + "\n".join(f"  {fault}" for fault in faults)


@contextmanager
def database(config: Config) -> Iterator[Database]:
    """The configured database, closed at the end. Raises UserError for what its user can mend."""
    try:
        db = open_database(config.database_url(), base=config.base)
    except (StoreError, ValueError) as error:
        raise UserError(str(error)) from error
    try:
        yield db
    except StoreError as error:
        raise UserError(f"{error} Nothing of the last step was stored") from error
    finally:
        db.close()


@contextmanager
def progress(text: str, total: int, unit: str = "B") -> Iterator[Callable[[int], None]]:
    """A progress bar over `total` steps on standard error; silent where that is no terminal. Yields `show(done)`."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(desc=text, total=total or None, unit=unit, unit_scale=True, leave=False) as bar:

        def show(n: int) -> None:
            bar.update(n - bar.n)

        yield show
