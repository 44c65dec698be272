"""The teacher."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.training.ema import Teacher, ramp


def test_the_ramp_is_a_line_that_counts_from_zero_and_then_stays():
    assert [ramp(step, 0.99, 0.9998, 4) for step in (0, 2, 4, 100)] == pytest.approx([0.99, 0.9949, 0.9998, 0.9998])
    assert ramp(0, 0.5, 0.9, 0) == 0.9


def test_it_follows_by_its_share_and_copies_buffers():
    student = nn.BatchNorm1d(2)
    teacher = Teacher(student)
    with torch.no_grad():
        student.weight.fill_(3.0)
    student(torch.randn(8, 2) + 5)
    teacher.follow(student, 0.75)
    torch.testing.assert_close(teacher.model.weight, torch.tensor([1.5, 1.5]), check_stride=False)
    torch.testing.assert_close(teacher.model.running_mean, student.running_mean)


def test_it_neither_trains_nor_leaves_eval_mode_nor_shares_memory():
    student = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    teacher = Teacher(student)
    assert not teacher.model.training
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())
    assert student.training
    assert student[0].weight.data_ptr() != teacher.model[0].weight.data_ptr()
