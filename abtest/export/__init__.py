"""What was stored, as files for an analyst's own tools."""

from abtest.export.exporting import Asked, ExportService, Format
from abtest.export.files import new_file

__all__ = ["Asked", "ExportService", "Format", "new_file"]
