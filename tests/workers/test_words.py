"""What a person reads when an attempt ends badly."""

from __future__ import annotations

import errno
import resource
import signal

import pytest
import torch
from django.db import InterfaceError, OperationalError
from torch import OutOfMemoryError

from core.errors import Cancelled, CheckpointError, Diverged
from core.training.checkpoint import Checkpoints
from workers.attempt import words_for
from workers.lease import LeaseLost
from workers.surroundings import FolderHeld


@pytest.mark.parametrize(("error", "says"), [
    (Cancelled(), {"cancelled": True}),
    (LeaseLost(), {"lost": True}),
    (FolderHeld("somebody holds it"), {"not_yet": "somebody holds it"}),
    (Diverged("fairness", float("nan"), 2, "adapting"),
     {"failed": "fairness is nan at step 2 of adapting: lower the learning rate", "retryable": False}),
], ids=["cancelled", "lease lost", "folder held", "diverged"])
def test_an_ending_has_its_message(error, says):
    assert words_for(error) == says


@pytest.mark.parametrize(("error", "where"), [
    (MemoryError(), "The machine"), (OutOfMemoryError(), "The GPU"),
    (RuntimeError("CUDA error: out of memory"), "The GPU"),
    (RuntimeError("could not create a primitive"), "The machine"),
    (RuntimeError("can't start new thread"), "The machine"),
], ids=["of the machine", "of the GPU", "of its driver", "in oneDNN's words", "in Python's words"])
def test_memory_that_ran_out_says_whose(error, where):
    assert words_for(error) == {"out_of_memory": where}


def test_what_cannot_be_computed_at_all_is_no_lack_of_memory():
    assert "failed" in words_for(RuntimeError("could not create a primitive descriptor"))


def test_torch_s_own_words_for_the_machine_s_memory_are_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert words_for(caught.value) == {"out_of_memory": "The machine"}


def test_a_full_disk_names_the_fix():
    said = words_for(OSError(errno.ENOSPC, "No space left on device", "/home/x"))
    assert "The disk is full (/home/x)" in said["failed"] and said["retryable"]


def test_a_database_that_went_away_is_no_failure_of_the_run():
    assert words_for(OperationalError("server closed the connection")) == {"again": "the database did not answer"}
    assert words_for(InterfaceError("connection already closed")) == {"again": "the database did not answer"}


def test_a_checkpoint_that_did_not_fit_on_the_disk_can_be_tried_again(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
    try:
        with pytest.raises(CheckpointError) as caught:
            checkpoints.save({"weights": torch.zeros(1 << 20)}, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, before)
    said = words_for(caught.value)
    assert "free some space" in said["failed"] and said["retryable"]


def test_our_own_mistake_is_called_one():
    assert "inside labelfree (KeyError: 'x')" in words_for(KeyError("x"))["failed"]
