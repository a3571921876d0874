"""What is wrong with data, or worth knowing about it, said in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from worldrex.data.transitions import DataError

MOST_NAMED = 8
LONGEST_REASON = 300


@dataclass(frozen=True)
class Finding:
    """One thing about a data set that its owner should know.

    Arguments:
        severity: an error makes the data unusable; a warning does not.
        column: where it is, e.g. "obs[:, 3]"; empty where it concerns the whole.
        count: how many values, records, episodes or components are concerned.
        first_row: the first row concerned, counted from 0; None where no row can be named.
        message: what came, what was expected and what to do.
    """

    severity: Literal["error", "warning"]
    column: str
    count: int
    first_row: int | None
    message: str


def raise_errors(findings: Sequence[Finding], source: str) -> None:
    """Raise one DataError that names `source` and tells every error among `findings`; nothing happens without one."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    lines = [f"- {finding.message}" for finding in errors[:MOST_NAMED]]
    if len(errors) > MOST_NAMED:
        lines.append(f"- and {plural(len(errors) - MOST_NAMED, 'more problem')} of these kinds.")
    rows = " (rows count from 0)" if any(finding.first_row is not None for finding in errors) else ""
    raise DataError("\n".join([f"{source} cannot be used{rows}:", *lines]))


def damaged(path: object, kind: str, error: Exception) -> DataError:
    """The error for a file of the right kind that its library cannot read."""
    return DataError(
        f"{str(path)!r} is truncated or damaged: {reason_of(error)}. worldrex needs a whole {kind} file: copy or export it again."
    )


def reason_of(error: BaseException) -> str:
    """What a library says, in one line: it may quote the file, whatever is in there, at any length."""
    reason = next(iter(str(error).splitlines()), "").rstrip(". ") or type(error).__name__
    return escaped(reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…")


def escaped(text: str) -> str:
    """A text with what cannot be printed escaped: control characters, line ends, halves of surrogate pairs."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def quote(name: object, longest: int = 60) -> str:
    """A name that someone else chose, in quotes, on one line and of bounded length."""
    text = str(name)
    return repr(text if len(text) <= longest else text[: longest - 1] + "…")


def plural(count: int, noun: str) -> str:
    """`1 value`, `2,000 values`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def some_of(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"
