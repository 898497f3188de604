"""`mailverdict init`: a rules file to start from."""

from pathlib import Path

import click

from adapters.cli.common import UNAVAILABLE, USAGE, fail, format_option, safe

STARTER = Path(__file__).with_name("starter.yaml")


@click.command("init", epilog="\b\nExample:\n  mailverdict init my-rules.yaml && mailverdict check my-rules.yaml")
@click.argument("file", default="mailverdict-rules.yaml")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@format_option
def init_command(file: str, force: bool, form: str) -> None:
    """Write a commented rules file to FILE (mailverdict-rules.yaml by default), to edit."""
    try:
        with Path(file).open("wb" if force else "xb") as stream:
            stream.write(STARTER.read_bytes())
    except FileExistsError:
        fail(USAGE, f"`{safe(file)}` is there already; --force writes over it")
    except OSError as error:
        fail(UNAVAILABLE, f"`{safe(file)}` cannot be written: {error.strerror or error}")
    if form == "json":
        from adapters.cli.show import print_json

        print_json({"wrote": file})
    else:
        click.echo(f"wrote {safe(file)}: edit it, then `mailverdict check {safe(file)}`")
