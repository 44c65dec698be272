"""MUST beside numbers recorded from the authors' code: salesforce/MUST at 1e0f84e (see tests/golden/README.md)."""

from __future__ import annotations

import json
from pathlib import Path

import core.torchvision_schemas  # noqa: F401  (before open_clip)

import numpy as np
import pytest
import torch
from open_clip.transformer import QuickGELU, VisionTransformer

from core.backbones.masked import MaskedClassifier
from core.losses.pseudolabel import MovingAverage
from core.losses.reconstruction import patches
from core.methods.must_objective import Batch, Objective, Weights
from core.shell import LocalRun
from core.training import ema, loop, optim

GOLDEN = Path(__file__).parents[2] / "golden"
OURS = {"mask_token_embedding": "mask_token", "ln_patch.weight": "patch_norm.weight",
        "ln_patch.bias": "patch_norm.bias",
        "decoder.0.weight": "decoder.weight", "decoder.0.bias": "decoder.bias", "classifier": "classifier"}
LOGGED = ("self_training", "fairness", "masked_modelling", "alignment", "loss", "confident")


def our_name(name: str) -> str:
    return OURS.get(name, f"visual.{name}")


class Recorded:
    """One golden file, and our model as its first step found it."""

    def __init__(self, file: str) -> None:
        self.arrays = dict(np.load(GOLDEN / file))
        self.config = json.loads(str(self.arrays["config"]))
        config = self.config
        visual = VisionTransformer(config["img"], config["patch"], config["width"], config["layers"], config["heads"],
                                   4.0, output_dim=config["embed_dim"], act_layer=QuickGELU)
        classifier = self.tensor("init/classifier")
        self.student = MaskedClassifier(visual, classifier, config["logit_scale"], torch.Generator())
        parameters = dict(self.student.named_parameters())
        initial = self.weights("init")
        assert initial.keys() == parameters.keys()
        with torch.no_grad():
            for name, value in initial.items():
                parameters[name].copy_(value.reshape(parameters[name].shape))
        self.teacher = ema.Teacher(self.student)

    def tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[name]).float()

    def weights(self, part: str) -> dict[str, torch.Tensor]:
        return {our_name(name.removeprefix(f"{part}/")): self.tensor(name)
                for name in self.arrays if name.startswith(f"{part}/")}

    def batches(self, first: int):
        for step in range(first, self.config["steps"]):
            weak, strong = self.tensor("weak")[step], self.tensor("strong")[step]
            hidden = self.tensor("mask")[step].flatten(1).bool()
            yield Batch(torch.arange(len(weak)), weak, strong, hidden)

    def objective(self, chunk_size: int = 1024) -> Objective:
        config = self.config
        moving = MovingAverage(config["classes"]) if config["classes"] >= 512 else None  # the reference's rule
        return Objective(
            student=self.student, teacher=self.teacher.model,
            weights=Weights(fairness=config["w_fair"], align=config["w_align"]),
            threshold=torch.tensor(config["tau"]), moving=moving, latest=torch.full((config["batch"],), -1),
            normalise=lambda images: images, device=torch.device("cpu"), precision="float32", chunk_size=chunk_size)

    def groups(self) -> list[dict]:
        config = self.config
        return optim.parameter_groups(
            self.student.named_parameters(), weight_decay=config["weight_decay"], layer_of=self.student.layer_of,
            last_layer=config["layers"] + 1, layer_decay=config["layer_decay"])

    def rate(self, step: int) -> float:
        return optim.cosine(step, self.config["steps"], self.config["base_lr"], self.config["min_lr"])

    def decay(self, step: int) -> float:
        return ema.ramp(step, self.config["ema_init"], self.config["ema_final"], self.config["ema_ramp_iters"])


@pytest.fixture(params=["must_k7.npz", "must_k600.npz"])
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return Recorded(request.param)


def test_it_sees_what_the_reference_saw_at_the_first_step(recorded: Recorded):
    batch = next(recorded.batches(0))
    with torch.no_grad():
        seen = recorded.student(batch.strong, batch.hidden)
        told = recorded.teacher.model(batch.weak).logits.softmax(dim=1)
    pixels = patches(recorded.tensor("step0/x_rec"), recorded.config["patch"])[batch.hidden]
    torch.testing.assert_close(seen.logits, recorded.tensor("step0/logits"), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(told, recorded.tensor("step0/teacher_probs"), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(seen.recovered.reshape(pixels.shape), pixels, rtol=1e-4, atol=1e-5)


def test_every_parameter_has_the_reference_s_rate_and_weight_decay(recorded: Recorded):
    ours = {name: (group["scale"], group["weight_decay"]) for group in recorded.groups() for name in group["names"]}
    names = [our_name(name.removeprefix("model.visual.")) for name in recorded.arrays["lr_scale/names"]]
    theirs = dict(zip(names, recorded.arrays["lr_scale/values"].tolist(), strict=True))
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        assert ours[name] == pytest.approx(values), name


@pytest.mark.parametrize("chunk_size", [1024, 3])
def test_it_takes_the_reference_s_steps(recorded: Recorded, chunk_size: int, tmp_path: Path):
    config, objective = recorded.config, recorded.objective(chunk_size)
    logged: list[dict[str, float]] = []

    def watched(batch: Batch) -> dict[str, torch.Tensor]:
        terms = objective(batch)
        logged.append({name: float(value.detach()) for name, value in terms.items()})
        return terms

    optimiser = torch.optim.AdamW(recorded.groups(), betas=config["betas"], eps=config["eps"], fused=True)
    loop.train(loop.Stage(
        name="adapting", steps=config["steps"], total=config["steps"], images_per_step=config["batch"],
        batches=recorded.batches, learning_rate=recorded.rate, objective=watched, optimiser=optimiser,
        after_step=lambda step: recorded.teacher.follow(recorded.student, recorded.decay(step)),
    ), LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path))

    for step, (ours, theirs) in enumerate(zip(logged, recorded.arrays["log"], strict=True)):
        for name, value in zip(LOGGED, theirs, strict=False):
            assert ours[name] == pytest.approx(value, rel=1e-4), (step, name)
        assert recorded.decay(step) == pytest.approx(theirs[6])
        assert recorded.rate(step) == pytest.approx(theirs[7])
    compare(recorded, recorded.student, "final_student", 2e-3)
    compare(recorded, recorded.teacher.model, "final_teacher", 5e-2)


def compare(recorded: Recorded, model: MaskedClassifier, part: str, tolerance: float) -> None:
    """Ask that ours is as near to theirs, for each tensor, as a share of how far theirs went."""
    initial, final = recorded.weights("init"), recorded.weights(part)
    for name, parameter in model.named_parameters():
        start, end = initial[name].flatten(), final[name].flatten()
        ours = parameter.detach().flatten()
        if name.endswith("attn.in_proj_bias"):  # the key third has no true gradient: noise blown up by AdamW
            keep = torch.arange(len(ours)).div(config_width(recorded), rounding_mode="floor") != 1
            start, end, ours = start[keep], end[keep], ours[keep]
        ratio = float((ours - end).norm() / (end - start).norm())
        assert ratio <= tolerance, f"{part} {name}: {ratio:.2e}"


def config_width(recorded: Recorded) -> int:
    return int(recorded.config["width"])
