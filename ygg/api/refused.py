"""Bodies that are not taken, whoever reads them."""

from __future__ import annotations

from ygg.errors import InvalidInput


class TooLarge(InvalidInput):
    """The body is larger than the API takes."""

    code = "too_large"
    http_status = 413


class WrongType(InvalidInput):
    """The body, or the file in it, is of a kind that is not taken."""

    code = "unsupported_media_type"
    http_status = 415
