"""What a person reads when an attempt ends badly."""

from __future__ import annotations

import errno

import pytest
from torch import OutOfMemoryError

from core.errors import Cancelled, Diverged
from workers.attempt import words_for
from workers.lease import LeaseLost


@pytest.mark.parametrize(("error", "says"), [
    (Cancelled(), {"cancelled": True}),
    (LeaseLost(), {"lost": True}),
    (Diverged("fairness", float("nan"), 2, "adapting"),
     {"failed": "fairness is nan at step 2 of adapting: lower the learning rate", "retryable": False}),
], ids=["cancelled", "lease lost", "diverged"])
def test_an_ending_has_its_message(error, says):
    assert words_for(error) == says


@pytest.mark.parametrize(("error", "where"), [(MemoryError(), "The machine"), (OutOfMemoryError(), "The GPU")],
                         ids=["of the machine", "of the GPU"])
def test_memory_that_ran_out_says_so_and_is_not_tried_again(error, where):
    said = words_for(error)
    assert said["failed"].startswith(f"{where} ran out of memory. Try a smaller batch size")
    assert not said.get("retryable")


def test_a_full_disk_names_the_fix():
    said = words_for(OSError(errno.ENOSPC, "No space left on device", "/home/x"))
    assert "The disk is full (/home/x)" in said["failed"] and said["retryable"]


def test_our_own_mistake_is_called_one():
    assert "inside labelfree (KeyError: 'x')" in words_for(KeyError("x"))["failed"]
