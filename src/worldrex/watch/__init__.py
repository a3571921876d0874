"""How a running job stands, from its folder: on a terminal a picture that is drawn anew, on a pipe a line for each report."""

from worldrex.watch.follow import watch

__all__ = ["watch"]
