from __future__ import annotations

import pytest

from core.errors import DataError
from core.names import Fault, decode_text, faults, fold, heading_note, parse_names, read_names, tidy, too_few


def test_it_reads_one_name_a_line_and_tidies_spaces():
    assert parse_names("\n  polar   bear\t\r\nIbex\nžlutý kůň\n\n") == ("polar bear", "Ibex", "žlutý kůň")


def test_names_may_contain_commas_and_repeat_words():
    assert parse_names("fox, red\nfox, arctic") == ("fox, red", "fox, arctic")


def test_a_usable_list_has_no_faults():
    assert faults("cat\ndog\n") == []


@pytest.mark.parametrize("text", ["", "   \n\t\n"])
def test_it_names_an_empty_list(text):
    assert faults(text) == [Fault(1, "", "no class names: write one name a line")]


def test_it_finds_every_fault_with_its_line():
    found = faults(f"cat\n\n dog\n CAT\n{'x' * 101}\n---\nDOG  \nb\x07d\nﬁsh\nfish")
    assert [(one.line, one.reason.split(";")[0].split(",")[0]) for one in found] == [
        (2, "empty line"), (4, "the same name as line 1"), (5, "101 characters"),
        (6, "has neither a letter nor a digit"), (7, "the same name as line 3"),
        (8, "contains a control character"), (10, "the same name as line 9")]


def test_a_long_name_is_shortened_where_it_is_shown_but_100_characters_are_allowed():
    assert len(faults("a\n" + "x" * 500)[0].name) == 40
    assert parse_names("a\n" + "x" * 100)[1] == "x" * 100


def test_it_refuses_more_than_10000_names():
    assert len(parse_names("\n".join(f"class {n}" for n in range(10_000)))) == 10_000
    (one,) = faults("\n".join(f"class {n}" for n in range(10_001)))
    assert (one.line, one.reason) == (10_001, "10001 names; at most 10000 can be used")


def test_the_error_names_every_fault_but_not_a_thousand():
    with pytest.raises(DataError, match=r"class names: line 2 \('A'\): the same name as line 1.*line 3: empty line"):
        parse_names("a\nA\n\nb")
    with pytest.raises(DataError, match="and 40 more"):
        parse_names("\n".join(["a"] * 51))


def test_folding_ignores_case_spaces_and_unicode_form():
    assert fold(" STRASSE  x") == fold("straße\tX")
    assert fold("é") == fold("é")
    assert tidy("  a \t b ") == "a b"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_it_reads_files_in_unicode(tmp_path, encoding):
    file = tmp_path / "names.txt"
    file.write_bytes("Žluťásek\nbělásek\n".encode(encoding))
    assert read_names(file) == ("Žluťásek", "bělásek")


@pytest.mark.parametrize(("content", "said"), [
    ("cat\ncafé\n".encode("latin-1"), "byte 0xE9 in line 2 .*Windows-1252"),
    ("cat\ndog".encode("utf-16-le"), "UTF-16 without its byte-order mark"),
    (b"\x89PNG\r\n\x1a\n" + bytes(3) + b"\x10" * 90, "a binary file"),
    ("café".encode("utf-16")[:-1], "begins like UTF-16"),
    ("ca\0t".encode("utf-16"), "begins like UTF-16"),
])
def test_it_names_the_encoding_that_a_file_has_instead(tmp_path, content, said):
    file = tmp_path / "names.txt"
    file.write_bytes(content)
    with pytest.raises(DataError, match=f"names.txt: .*{said}.*UTF-8"):
        read_names(file)


def test_faults_in_a_file_and_a_missing_file_name_the_file(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("a\na")
    with pytest.raises(DataError, match=r"names\.txt: line 2 \('a'\)"):
        read_names(file)
    with pytest.raises(DataError, match=r"nowhere\.txt: cannot be read: No such file"):
        read_names(tmp_path / "nowhere.txt")


def test_text_of_an_upload_is_read_without_a_file():
    assert decode_text(b"\xef\xbb\xbfcat", "sent.csv") == "cat"


@pytest.mark.parametrize(("names", "is_noted"), [
    (("species", "heron", "egret"), True), (("  NAMES ", "heron", "egret"), True), (("class", "heron"), False),
    (("heron", "species", "egret"), False), (("species of heron", "egret", "duck"), False), ((), False)])
def test_a_first_name_that_looks_like_a_heading_is_noted(names, is_noted):
    assert bool(heading_note(names)) is is_noted
    assert heading_note(("species", "a", "b")) == (
        "the first line, “species”, was taken as a class; leave it out if it is a heading")


def test_one_name_with_commas_is_told_how_names_are_written():
    assert too_few("heron") == "give at least two"
    assert too_few("heron,egret") == too_few("heron; egret") == (
        "give at least two; write one name a line, not separated by commas")
