"""Which method to take for a collection, for programs: what the page “New run” recommends."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Field, Router, Schema

from core.catalog import METHODS
from core.recommendation import cost, obstacle, recommend_method
from webapp.api.schemas import REFUSALS, Error
from webapp.collections.permissions import get_own_collection
from webapp.runs.starting import question_of, settings_of

router = Router(tags=["runs"])


class RecommendationOut(Schema):
    """A method for the collection's question, why, and what it will cost."""

    method: str
    title: str
    reason: str
    preset: str = Field(description="the one taken unless another is named; empty where the method has none")
    cpu_seconds: float = Field(description="about how long it takes on two ordinary cores")
    gpu_seconds: float = Field(description="about how long it takes on a data-centre GPU")
    cost: str = Field(description="the same in words")
    obstacles: dict[str, str] = Field(description="every method that cannot be asked this question, and what it lacks")


@router.get("/collections/{pk}/recommendation", response={200: RecommendationOut, REFUSALS: Error},
            summary="The method to take for a collection, and why")
def recommend(request: HttpRequest, pk: int) -> RecommendationOut:
    """Return what is recommended for the collection's own question."""
    collection = get_own_collection(request, pk)
    question = question_of(collection)
    found = recommend_method(question)
    preset, settings = settings_of(collection, found.method, "", {}, question)
    takes = cost(found.method, settings, question)
    hindrances = {name: obstacle(name, question) for name in METHODS}
    return RecommendationOut(
        method=found.method, title=found.title, reason=found.reason, preset=preset, cpu_seconds=takes.cpu_seconds,
        gpu_seconds=takes.gpu_seconds, cost=str(takes),
        obstacles={name: f"{one.reason} {one.fix}." for name, one in hindrances.items() if one is not None})
