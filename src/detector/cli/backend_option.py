"""What `--backend` says of its URL, in every command that has it."""

import typer

from detector.cli.progress import note
from detector.redacting import has_password


def say_if_password_is_seen(
    context: typer.Context, option: typer.CallbackParam, url: str | None
) -> str | None:
    """The backend's URL; say so where everybody on this machine can read its password."""
    source = context.get_parameter_source(option.name or "")
    if source is not None and source.name == "COMMANDLINE" and url and has_password(url):
        note(
            "warning: the password of --backend can be read in the list of processes; keep it out "
            "with PGPASSWORD, or give the URL by DETSWEEP_BACKEND"
        )
    return url
