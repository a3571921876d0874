"""Run folders as one self-contained HTML page or as Markdown, and their figures as files."""

from worldrex.report.folder import ReportError, Run, read_run
from worldrex.report.page import render_page
from worldrex.report.write import write_figures, write_markdown, write_page

__all__ = ["ReportError", "Run", "read_run", "render_page", "write_figures", "write_markdown", "write_page"]
