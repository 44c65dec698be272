"""Further collections of a run: who may name which, what they add, and what is said once one is gone."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from core.errors import ConfigError, DataError
from tests.webapp.runs import rows
from tests.webapp.runs.test_new import address, filled
from webapp.collections.deletion import delete_collection, restore_collection, trash_collection
from webapp.collections.models import Collection, Image, Upload
from webapp.runs.forms import RunForm
from webapp.runs.further import count_brought, earlier_run, further_collections, other_collection
from webapp.runs.models import Run
from webapp.runs.starting import resume, start_again, start_run
from webapp.sharing.access import collections_of
from webapp.sharing.models import Membership, Role

pytestmark = pytest.mark.django_db


def other(owner, title, first=100, count=10):
    """Make a collection of pictures that `first` tells from other collections'."""
    made = rows.collection(owner, 0, names=(), title=title)
    Image.objects.bulk_create([Image(
        collection=made, number=number, path=f"{number}.png", sha256=f"{first + number:064x}",
        file=f"images/{made.pk}/{number}.png", thumbnail=f"thumbnails/{made.pk}/{number}.webp", width_px=8, height_px=8)
        for number in range(count)])
    return made


@pytest.fixture
def sketches(alice):
    return other(alice, "sketches")


@pytest.fixture
def signs(alice):
    return other(alice, "signs", 105, 20)  # five pictures of it are among the sketches


def test_a_picture_counts_once_and_what_a_collection_holds_out_or_has_set_aside_is_not_added(
        collection, sketches, signs):
    assert count_brought(collection, []) == 0
    assert count_brought(collection, [sketches]) == 10
    assert count_brought(collection, [sketches, signs]) == 25
    sketches.images.filter(number=0).update(set_aside=True)
    sketches.images.filter(number=9).update(held_out=True)  # the same picture is among the signs
    assert count_brought(collection, [sketches]) == 8
    assert count_brought(collection, [sketches, signs]) == 23
    collection.images.filter(number=3).update(sha256=f"{101:064x}", held_out=True)  # one of the sketches
    assert count_brought(collection, [sketches, signs]) == 22


def test_it_is_started_with_ids_in_their_order_and_settings_for_all_images(collection, sketches, signs, sent):
    alone = start_run(collection=collection, method="must", values={})
    run = start_run(collection=collection, method="must", values={}, also=[signs, sketches, signs])
    assert run.also == [sketches.pk, signs.pk]
    assert run.settings["epochs"] == pytest.approx(alone.settings["epochs"] * 60 / 85, rel=0.01)
    assert run.baseline == alone.baseline, "what it is compared with is its own collection's"
    assert start_again(run).also == run.also
    assert further_collections(run) == [sketches, signs]
    assert alone.also == [] and further_collections(alone) == []


def test_what_cannot_be_joined_is_refused_by_name(collection, alice, sketches, sent):
    empty = other(alice, "empty", count=0)
    copies = other(alice, "copies", 0)  # of the collection's own
    aside = other(alice, "aside", 500)
    aside.images.update(held_out=True)
    for nothing in (empty, copies, aside):
        with pytest.raises(DataError, match=f"also: '{nothing.name}' adds no images") as refused:
            start_run(collection=collection, method="must", values={}, also=[sketches, nothing])
        assert refused.value.file == "also"
    with pytest.raises(ConfigError, match="'Pets at home' is the run's own collection"):
        start_run(collection=collection, method="must", values={}, also=[collection])
    with pytest.raises(ConfigError, match="MAE-CT adapts to one collection"):
        start_run(collection=collection, method="maect", values={}, also=[sketches])
    Upload.objects.create(collection=sketches, name="more.zip", size_bytes=9, status="received")
    with pytest.raises(DataError, match="1 uploads of 'sketches' are still being read"):
        start_run(collection=collection, method="must", values={}, also=[sketches])
    assert not Run.objects.exists()


def test_one_that_is_deleted_is_missed_and_not_forgotten(collection, sketches, signs, sent):
    run = start_run(collection=collection, method="must", values={}, also=[sketches, signs])
    words = f"collection {signs.pk}, one of those that this run also adapts to, is not there any more"
    trash_collection(signs)
    with pytest.raises(DataError, match=words):
        start_again(run)
    restore_collection(signs)
    assert further_collections(run) == [sketches, signs]
    delete_collection(signs)
    run.refresh_from_db()
    with pytest.raises(DataError, match=words):
        further_collections(run)


@pytest.mark.parametrize(("field", "method", "use"), [("warm_up", "must", "warms up on"),
                                                      ("replay", "finetune", "replays")])
def test_another_collection_that_is_deleted_is_missed_too(collection, sketches, sent, field, method, use):
    run = start_run(collection=collection, method=method, values={}, **{field: sketches})
    assert other_collection(run, field) == sketches
    pk = sketches.pk
    trash_collection(sketches)
    with pytest.raises(DataError, match=f"{field}: collection {pk}, which this run {use}, is not there any more"):
        start_again(run)
    delete_collection(sketches)
    run = Run.objects.get(pk=run.pk)
    with pytest.raises(DataError, match=f"collection {pk}, which this run {use}, is not there any more"):
        other_collection(run, field)


@pytest.mark.parametrize("field", ["also", "warm_up"])
def test_a_paused_run_goes_on_only_with_what_the_person_may_read_by_now(
        signed_in, alice, charlie, collection, sent, field):
    theirs = other(charlie, "theirs")
    shared = Membership.objects.create(collection=theirs, user=alice, role=Role.VIEWER)
    run = start_run(collection=collection, method="must", values={}, **{field: [theirs] if field == "also" else theirs})
    run.request_pause()
    shared.delete()
    for place in (reverse("runs:resume", args=[run.pk]), f"/api/v1/runs/{run.pk}/resume"):
        said = signed_in.post(place, follow=True).content.decode()
        assert "is not there any more" in said
    run.refresh_from_db()
    assert run.status == "paused"
    Membership.objects.create(collection=theirs, user=alice, role=Role.VIEWER)
    assert resume(run, collections_of(alice))


def test_nothing_begins_or_goes_on_in_the_trash(alice, collection, sent):
    paused = start_run(collection=collection, method="must", values={})
    paused.request_pause()
    trash_collection(Collection.objects.get(pk=collection.pk))  # in another tab
    with pytest.raises(DataError, match="was deleted meanwhile"):
        start_run(collection=collection, method="must", values={})
    with pytest.raises(DataError, match="was deleted meanwhile"):
        resume(paused, collections_of(alice))


def test_an_earlier_run_that_is_deleted_is_missed_and_its_page_says_so(signed_in, collection, sketches, sent):
    tuned = rows.run(sketches, "must")
    run = start_run(collection=collection, method="must", values={}, start_from=tuned)
    pk = tuned.pk
    assert earlier_run(run) == tuned
    delete_collection(sketches)
    run = Run.objects.get(pk=run.pk)
    with pytest.raises(DataError, match=f"start_from: run {pk}, with which this one begins, is not there any more"):
        start_again(run)
    html = signed_in.get(reverse("runs:detail", args=[run.pk])).content.decode()
    assert f"begun with run {pk}, which is deleted" in html



def test_the_form_offers_those_one_may_see_and_only_where_they_are_used(signed_in, alice, charlie, collection,
                                                                       sketches, sent):
    foreign, shared = other(charlie, "foreign", 300), other(charlie, "shared", 400)
    Membership.objects.create(collection=shared, user=alice, role=Role.VIEWER)
    assert "also" not in RunForm(collection=collection, method="maect", others=collections_of(alice)).fields
    assert "also" not in RunForm(collection=collection, method="must").fields, "there is nothing to choose from"
    page = signed_in.get(address(collection), {"method": "must"})
    assert list(page.context["form"].fields["also"].queryset) == [shared, sketches]
    assert "Also adapt to" in page.content.decode() and "foreign" not in page.content.decode()

    for hidden in (foreign.pk, collection.pk, 10**9):
        answer = signed_in.post(address(collection), filled(collection, also=[sketches.pk, hidden]))
        assert answer.status_code == 422
        assert "not one of the available choices" in answer.context["form"].errors["also"][0]
    assert not Run.objects.exists()
    signed_in.post(address(collection), filled(collection, also=[shared.pk, sketches.pk]))
    assert Run.objects.get(method="must").also == [sketches.pk, shared.pk]


def test_the_form_keeps_what_is_ticked_and_fits_settings_and_cost_to_all_images(signed_in, collection, sketches, signs,
                                                                               sent):
    form = signed_in.get(address(collection), {"method": "must"}).context["form"]
    ticked = signed_in.get(address(collection), {"method": "must", "also": [sketches.pk, signs.pk]})
    assert ticked.context["form"].num_further == 25
    assert ticked.context["form"].start_values["epochs"] < form.start_values["epochs"]
    html = ticked.content.decode()
    assert re.findall(r'name="also" value="(\d+)"[^>]* checked', html) == [str(signs.pk), str(sketches.pk)]
    assert '<details id="more-settings" open>' in html
    for value in ("x", "9" * 30):
        assert signed_in.get(address(collection), {"method": "must", "also": value}).status_code == 200
    run = start_run(collection=collection, method="must", values={"epochs": 2}, also=[sketches])
    again = signed_in.get(address(collection), {"method": "must", "from": run.pk}).context["form"]
    assert (again.initial["also"], again.num_further) == ([sketches.pk], 10)
    assert again.cost.cpu_seconds > RunForm(collection=collection, method="must", earlier=start_run(
        collection=collection, method="must", values={"epochs": 2})).cost.cpu_seconds


def test_what_adds_nothing_is_said_beside_the_field(signed_in, alice, collection, sent):
    empty = other(alice, "Zoo IV", count=0)
    answer = signed_in.post(address(collection), filled(collection, also=[empty.pk]))
    assert answer.status_code == 422
    assert answer.context["form"].errors["also"][0].startswith("Also: 'Zoo IV' adds no images")


def test_the_page_names_to_each_person_those_that_they_may_see(signed_in, stranger, charlie, collection, sketches,
                                                              signs):
    run = rows.run(collection, also=[sketches.pk, signs.pk])
    html = signed_in.get(reverse("runs:detail", args=[run.pk])).content.decode()
    links = [f'<a href="{reverse("collections:detail", args=[one.pk])}">{one.name}</a>' for one in (signs, sketches)]
    assert f"also adapted to {links[0]}, {links[1]}" in html
    Membership.objects.create(collection=collection, user=charlie, role=Role.VIEWER)
    Membership.objects.create(collection=signs, user=charlie, role=Role.VIEWER)
    html = stranger.get(reverse("runs:detail", args=[run.pk])).content.decode()
    assert f"also adapted to {links[0]} and 1 collection that you cannot open" in html
    assert "sketches" not in html
    assert "also adapted" not in signed_in.get(reverse("runs:detail", args=[rows.run(collection).pk])).content.decode()


def test_another_owner_s_try_again_needs_the_right_to_read_them(stranger, charlie, collection, sketches, sent):
    run = rows.run(collection, status="cancelled", also=[sketches.pk])
    Membership.objects.create(collection=collection, user=charlie, role=Role.OWNER)
    said = stranger.post(reverse("runs:again", args=[run.pk]), follow=True).content.decode()
    assert f"collection {sketches.pk}, one of those that this run also adapts to, is not there" in said
    assert Run.objects.count() == 1
    Membership.objects.create(collection=sketches, user=charlie, role=Role.VIEWER)
    stranger.post(reverse("runs:again", args=[run.pk]))
    assert Run.objects.filter(also=[sketches.pk]).count() == 2
