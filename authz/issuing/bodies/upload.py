"""Lists of beneficiaries, as they are sent: what they may be, and how big."""

from collections.abc import Mapping

from authz.issuing.sheets.media import CONTENT_BYTES_MAX, Media

UPLOAD_MAX_BYTES = CONTENT_BYTES_MAX
JSON = "application/json"
MEDIA: Mapping[str, Media] = {
    "text/csv": "csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    JSON: "json",
}
"""Which list a content type announces."""
