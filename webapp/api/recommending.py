"""Which method to take for a collection, for programs: what the page “New run” recommends."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Field, Router, Schema

from core.catalog import METHODS
from core.cost import cost
from core.question import obstacle
from core.recommendation import larger_model, recommend_method
from webapp.api.schemas import REFUSALS, Error
from webapp.collections.permissions import get_own_collection
from webapp.runs.presence import are_on_gpu
from webapp.runs.starting import question_of, settings_of

router = Router(tags=["runs"])


class LargerModelOut(Schema):
    """A larger foundation model."""

    backbone: str = Field(description="for the setting `setting`")
    setting: str
    seconds: float = Field(description="about how long the method takes with it here")
    reason: str


class RecommendationOut(Schema):
    """A method for the collection's question, why, and what it will cost."""

    method: str
    title: str
    reason: str
    preset: str = Field(description="the one taken unless another is named; empty where the method has none")
    cpu_seconds: float = Field(description="about how long it takes on two ordinary cores")
    gpu_seconds: float = Field(description="about how long it takes on a data-centre GPU")
    gpu: bool | None = Field(description="whether the workers that are there have a GPU; null where none is there, or "
                                         "some have and some have not")
    cost: str = Field(description="about how long it takes here, in words; on both where `gpu` is null")
    larger: LargerModelOut | None = Field(description="what to take in the bundled starter's place; null where there "
                                          "is no telling how long it takes")
    obstacles: dict[str, str] = Field(description="every method that cannot be asked this question, and what it lacks")


@router.get("/collections/{pk}/recommendation", response={200: RecommendationOut, REFUSALS: Error},
            summary="The method to take for a collection, and why")
def recommend(request: HttpRequest, pk: int) -> RecommendationOut:
    """Return what is recommended for the collection's own question."""
    collection = get_own_collection(request, pk)
    question = question_of(collection)
    found = recommend_method(question)
    preset, settings = settings_of(collection, found.method, "", {}, question)
    takes, on_gpu = cost(found.method, settings, question), are_on_gpu()
    larger = larger_model(found.method, settings, question, on_gpu)
    hindrances = {name: obstacle(name, question) for name in METHODS}
    return RecommendationOut(
        method=found.method, title=found.title, reason=found.reason, preset=preset, cpu_seconds=takes.cpu_seconds,
        gpu_seconds=takes.gpu_seconds, gpu=on_gpu, cost=takes.in_words(on_gpu),
        larger=None if larger is None else LargerModelOut(
            backbone=larger.backbone, setting=larger.setting, seconds=larger.cost.seconds(larger.on_gpu),
            reason=str(larger)),
        obstacles={name: f"{one.reason} {one.fix}." for name, one in hindrances.items() if one is not None})
