"""The files of a trainer that waits for a run. Standard library only: the supervisor imports this module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WarmTrainerFolder:
    """A supervisor and its trainer without a run. Removing the folder ends both."""

    path: Path

    @property
    def record(self) -> Path:
        """The waiting processes and their environment's fingerprint; written last."""
        return self.path / "trainer.json"

    @property
    def inbox(self) -> Path:
        """A named pipe. One line with a run's folder and attempt assigns the trainer to that run."""
        return self.path / "inbox"

    @property
    def ready(self) -> Path:
        """The trainer writes this file once its libraries are loaded."""
        return self.path / "ready"

    @property
    def log(self) -> Path:
        return self.path / "trainer.log"

    @property
    def lock(self) -> Path:
        """The lock file. It is next to the folder, because the folder itself is removed and created again."""
        return self.path.with_name(".warm-trainer.lock")
