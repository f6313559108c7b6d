"""What a file is, by its bytes."""

from __future__ import annotations

import pytest

from ygg.intake.contents import media_of

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"


@pytest.mark.parametrize(
    ("head", "media"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1" + bytes(40), "image/jpeg"),
        (b"\xff\xd8\xff\xdb" + bytes(40), "image/jpeg"),
        (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(30), "image/webp"),
        (b"GIF89a\1\0\1\0" + bytes(20), "image/gif"),
        (b"%PDF-1.7\n\xe2\xe3", "application/pdf"),
        (b"PK\x03\x04\x14\0\0\0" + bytes(30), "application/zip"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2" + bytes(20), "video/mp4"),
        (b"fLaC\0\0\0\x22" + bytes(30), "audio/flac"),
        (b"\xfe\x01\x99nothing", "application/octet-stream"),
        (b"\x93", "application/octet-stream"),
    ],
)
def test_bytes_tell_what_a_file_is(head: bytes, media: str) -> None:
    assert media_of(head, is_text=False) == media


@pytest.mark.parametrize(
    "head", [b"BMW is no bitmap", b"ID3 is no song", b'{"a": 1}', b"<svg/>", b"#!/bin/sh\n", b"x"]
)
def test_text_is_text_whatever_it_begins_with(head: bytes) -> None:
    assert media_of(head, is_text=True) == "text/plain"


def test_a_pdf_of_letters_alone_is_none() -> None:
    assert media_of(b"%PDF-1.4\n", is_text=True) == "application/pdf"


@pytest.mark.parametrize("start", ["audio/", "video/"])
def test_sound_and_moving_pictures_are_told_apart(start: str) -> None:
    heads = {
        "audio/": [b"ID3\3\0\0\0\0\0\0" + bytes(40), b"RIFF\x24\0\0\0WAVEfmt " + bytes(30)],
        "video/": [b"RIFF\x24\0\0\0AVI LIST" + bytes(30), b"\0\0\0\x14ftypqt  " + bytes(20)],
    }
    assert all(media_of(head, is_text=False).startswith(start) for head in heads[start])


WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\xf7\x81\1\x42\x82\x84webm"


@pytest.mark.parametrize(
    ("head", "media"),
    [
        (b"\xff\xf3\x40\xc4" + bytes(60), "audio/mpeg"),
        (b"\xff\xfb\x90\x64" + bytes(60), "audio/mpeg"),
        (b"OggS\0\2" + bytes(22) + b"\1\x13OpusHead" + bytes(40), "audio/ogg"),
        (b"OggS\0\2" + bytes(22) + b"\x80theora" + bytes(40) + b"\1vorbis", "application/ogg"),
        (WEBM + bytes(40) + b"A_OPUS" + bytes(40), "audio/webm"),
        (WEBM + bytes(40) + b"V_VP9" + bytes(40) + b"A_OPUS", "video/webm"),
        (b"\0\0\0\x20ftypM4A \0\0\2\0M4A mp42isom" + bytes(20), "audio/mp4"),
    ],
)
def test_containers_of_sound_alone_are_sound(head: bytes, media: str) -> None:
    assert media_of(head, is_text=False) == media
