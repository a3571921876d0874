"""The flag that every verb has; apart from the others, so that a verb that reads no logs does not wait for their readers."""

from typing import Annotated

import tyro

Json = Annotated[
    bool,
    tyro.conf.arg(help="Print the summary as JSON on stdout, everything else on stderr.", help_behavior_hint=""),
]
