"""Lists of beneficiaries, as they are sent: by which content type each kind is known."""

from collections.abc import Mapping

from authz.issuing.sheets.media import Media

JSON = "application/json"
MEDIA: Mapping[str, Media] = {
    "text/csv": "csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    JSON: "json",
}
"""Which list a content type announces."""
