"""How many images each class has, as the labels stand: the quick count against the plain one."""

from __future__ import annotations

import random
from collections import Counter

from tests.webapp.review.gallery import Gallery
from webapp.review import actions
from webapp.review.queries import Filter, answers_shown, class_counts, with_standing


def test_classes_are_counted_as_the_labels_stand(gallery: Gallery) -> None:
    chance = random.Random(5)
    ids = list(gallery.collection.images.values_list("pk", flat=True))
    for author in (gallery.owner, gallery.stranger, gallery.owner, gallery.owner):
        for _ in range(6):
            some = chance.sample(ids, chance.randrange(1, 12))
            if chance.random() < 0.5:
                actions.correct(gallery.run, author, some, chance.randrange(10))
            else:
                actions.confirm(gallery.run, author, some)
        actions.undo(gallery.run, author)
    actions.correct(gallery.baseline, gallery.owner, ids[:30], 3)  # said of another run
    plain = with_standing(gallery.run)
    images = Counter(plain.values_list("standing", flat=True))
    by_person = Counter(plain.exclude(corrected=None).values_list("standing", flat=True))
    assert 40 < sum(by_person.values()) <= 60
    assert [(one.images, one.by_person) for one in class_counts(gallery.run)] == [
        (images[index], by_person[index]) for index in range(10)]


def test_the_most_telling_come_first_and_all_others_after_them_the_least_sure_first(gallery: Gallery) -> None:
    told = list(gallery.run.predictions.order_by("-confidence")[:3])
    for place, one in enumerate(told):
        gallery.run.predictions.filter(pk=one.pk).update(telling=place)
    chosen = Filter(order="Most telling first")
    shown = [one.pk for one in answers_shown(gallery.run, chosen, ("pk",), 0, 60)]
    others = gallery.run.predictions.filter(telling=None).order_by("confidence", "pk").values_list("pk", flat=True)
    assert shown == [*(one.pk for one in told), *others]
