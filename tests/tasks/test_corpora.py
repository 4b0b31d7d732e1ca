"""Texts: the standard library's, public ones from a cache, files."""

import hashlib
import zipfile

import pytest

from gradscope.errors import GradscopeError
from gradscope.tasks import _corpora as corpora


def test_public_corpora_are_checked_and_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADSCOPE_CACHE", str(tmp_path / "cache"))
    archive = tmp_path / "small.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("small", "some text\n" * 20)
    digest = "md5:" + hashlib.md5(b"some text\n" * 20).hexdigest()
    monkeypatch.setitem(
        corpora.SOURCES, "small", (corpora.Part(archive.as_uri(), digest, "small", True),)
    )
    assert corpora.load("small").train == "some text\n" * 20
    archive.unlink()
    corpora._public.cache_clear()
    assert corpora.load("small").train == "some text\n" * 20, "from the cache"
    (tmp_path / "cache" / "small" / "small.zip").write_bytes(b"not a zip")
    corpora._public.cache_clear()
    with pytest.raises(GradscopeError, match=r"no zip archive.*delete it"):
        corpora.load("small")


def test_the_checksum_may_be_that_of_the_archive(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADSCOPE_CACHE", str(tmp_path / "cache"))
    archive = tmp_path / "both.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("train", "some text")
        file.writestr("test", "another text")
    digest = "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    parts = tuple(corpora.Part(archive.as_uri(), digest, member) for member in ("train", "test"))
    monkeypatch.setitem(corpora.SOURCES, "both", parts)
    assert corpora.load("both")[:2] == ("some text", "another text")


def test_a_download_with_the_wrong_checksum_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADSCOPE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_text("other text")
    part = corpora.Part((tmp_path / "a.txt").as_uri(), "sha256:" + "0" * 64)
    monkeypatch.setitem(corpora.SOURCES, "wrong", (part,))
    with pytest.raises(GradscopeError, match="checksum"):
        corpora.load("wrong")
    assert not (tmp_path / "cache" / "wrong" / "a.txt").exists()


def test_without_a_network_the_error_says_where_to_put_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADSCOPE_CACHE", str(tmp_path))
    monkeypatch.setitem(
        corpora.SOURCES, "gone", (corpora.Part((tmp_path / "no.txt").as_uri(), "md5:0"),)
    )
    with pytest.raises(GradscopeError, match=r"put that file at .*gone.no\.txt by hand"):
        corpora.load("gone")


def test_a_digest_needs_no_download(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADSCOPE_CACHE", str(tmp_path))
    monkeypatch.setattr(corpora, "_download", lambda *_: 1 / 0)
    digests = {corpora.digest(name) for name in corpora.SOURCES}
    assert len(digests) == len(corpora.SOURCES)
    (tmp_path / "a.txt").write_text("some text")
    (tmp_path / "b.txt").write_text("some text")
    first = corpora.digest(str(tmp_path / "a.txt"))
    assert (
        first
        == corpora.digest(str(tmp_path / "b.txt"))
        == corpora.load(str(tmp_path / "a.txt")).digest
    )
    assert corpora.is_known("text8")
    assert not corpora.is_known(str(tmp_path / "a.txt"))


def test_texts_that_cannot_be_used(tmp_path):
    with pytest.raises(GradscopeError, match="known: stdlib"):
        corpora.load("no/such/file.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(GradscopeError, match="no UTF-8 text"):
        corpora.load(str(tmp_path / "latin.txt"))
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(GradscopeError, match="is empty"):
        corpora.load(str(tmp_path / "empty.txt"))


def test_the_standard_librarys_text_needs_no_download():
    corpus = corpora.load("stdlib")
    assert corpus.test is None
    assert 300_000 < len(corpus.train) < 700_000
    assert "class" in corpus.train
    assert corpora.load("stdlib") is corpus
