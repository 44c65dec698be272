"""The errors a person may meet; each names the thing, the reason and the fix. Standard library only."""

from __future__ import annotations


class LabelfreeError(Exception):
    """Base of every error whose message is written for the person at the other end.

    `retryable` says whether the same thing, tried again unchanged, can work.
    """

    retryable = False


class ConfigError(LabelfreeError):
    """A setting that cannot be used."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting}: {reason}")
        self.setting = setting
        self.reason = reason


class DataError(LabelfreeError):
    """A file, an archive, a list or a collection that cannot be used."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


class WeightsUnavailable(LabelfreeError):
    """Weights that are neither bundled, nor cached, nor to be fetched."""

    retryable = True

    def __init__(self, backbone: str, reason: str) -> None:
        super().__init__(f"weights of {backbone}: {reason}")
        self.backbone = backbone
        self.reason = reason


class CheckpointError(LabelfreeError):
    """A checkpoint or a saved model that cannot be read or written."""

    def __init__(self, file: str, reason: str, *, retryable: bool = False) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason
        self.retryable = retryable


class Diverged(LabelfreeError):
    """A term of the objective, or a weight, that stopped being finite."""

    def __init__(self, term: str, value: float, step: int, stage: str) -> None:
        super().__init__(f"{term} is {value} at step {step} of {stage}: lower the learning rate")
        self.term = term
        self.step = step


class Paused(LabelfreeError):
    """Raised by ``run.report`` when the person asked to stop for now: what is learnt is in the checkpoint."""

    def __init__(self) -> None:
        super().__init__("paused")


class Cancelled(LabelfreeError):
    """Raised by ``run.report`` when the person asked to stop."""

    def __init__(self) -> None:
        super().__init__("cancelled")
