"""Run folders as one self-contained HTML page: tables, figures and the page that puts them together."""

from worldrex.report.folder import ReportError, Run, read_run
from worldrex.report.page import render_page, write_page

__all__ = ["ReportError", "Run", "read_run", "render_page", "write_page"]
